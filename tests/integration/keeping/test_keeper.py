"""What is kept of calls, and what becomes of it when something is in the way."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sqlite3
from pathlib import Path

import pytest

from tests.support.keeping_kit import CHAT, DAY_US, Kept, SealsInMemory, everywhere, holder
from tuckshop.domain.errors import StoreError
from tuckshop.keeping.body_copies import copy_bodies
from tuckshop.keeping.body_file import APPLICATION_ID, BodyFile, reading
from tuckshop.keeping.keeper import LINGER_S
from tuckshop.keeping.orders import Erase, Flush, Order, Retain, Retention, Span, Stop
from tuckshop.keeping.writer_thread import ASIDE_S

pytestmark = pytest.mark.anyio
SECRET = b"a very private sentence about Pemberley"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def span(since_us: int) -> Span:
    return Span(flagged_since_us=since_us, others_since_us=since_us)


async def test_nothing_is_kept_of_a_group_that_says_nothing(tmp_path: Path) -> None:
    """P1: off by default; not even a file or a thread is there."""
    kept = Kept(tmp_path)

    kept.call("req_1", bodies="off")
    await kept.keeper.flush()
    await kept.keeper.close()

    assert everywhere(tmp_path) == b""


async def test_a_call_is_kept_as_it_was_sent_and_answered(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    tap = kept.keeper.begin("req_1", holder(), CHAT, b'{"model":"gpt"}')
    assert tap is not None
    for piece in (b"data: one\n\n", b"data: two\n\n"):
        tap.add(piece)
    tap.end(200, is_stream=True)
    await kept.keeper.flush()

    content = kept.content("req_1")
    assert content is not None
    assert (content.request, content.reply) == (b'{"model":"gpt"}', b"data: one\n\ndata: two\n\n")
    assert (content.is_stream, content.http_status, content.events) == (True, 200, "chunks")
    row = kept.row("req_1")
    assert row is not None
    assert (row.member_id, row.group_id, row.at_us) == ("mem_a", "grp_a", kept.clock.now_us())
    assert kept.kept == 1
    await asyncio.sleep(0)
    assert kept.keeper.held_bytes == 0
    await kept.keeper.close()


async def test_it_lies_packed_and_sealed_and_for_its_owner_only(tmp_path: Path) -> None:
    """P4, P2: no word of it is on the disk, and without the member's key none can be had."""
    kept = Kept(tmp_path)
    kept.call("req_1", request=SECRET * 100, reply=SECRET)
    await kept.keeper.flush()

    assert SECRET not in everywhere(tmp_path)
    assert len(kept.sealed("req_1")) < 500
    assert os.stat(tmp_path / "bodies.db").st_mode & 0o077 == 0
    kept.seals.destroy("mem_a")
    with pytest.raises(StoreError):
        kept.content("req_1")
    await kept.keeper.close()


async def test_of_flagged_calls_only_those_are_kept_and_the_verdict_may_come_at_any_time(
    tmp_path: Path,
) -> None:
    """P1: a call in which nothing is flagged is forgotten after a while, without having been on the disk."""
    kept = Kept(tmp_path)
    keeper = kept.keeper
    keeper.flagged("req_before")
    kept.call("req_before", bodies="flagged")
    tap = keeper.begin("req_during", holder("flagged"), CHAT, b"{}")
    assert tap is not None
    keeper.flagged("req_during")
    tap.end(200, is_stream=False)
    kept.call("req_after", bodies="flagged")
    keeper.flagged("req_after")
    kept.call("req_late", bodies="flagged")
    kept.call("req_never", bodies="flagged")
    kept.clock.advance(LINGER_S + 1)
    kept.call("req_next", bodies="flagged")
    keeper.flagged("req_late")
    await keeper.flush()

    for request_id in ("req_before", "req_during", "req_after"):
        row = kept.row(request_id)
        assert row is not None, request_id
        assert row.is_flagged
    for request_id in ("req_late", "req_never", "req_next"):
        assert kept.row(request_id) is None
    await keeper.close()


async def test_a_call_that_is_kept_anyway_is_flagged_when_the_verdict_comes(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.call("req_1")
    kept.call("req_2")
    await kept.keeper.flush()
    kept.keeper.flagged("req_1")
    await kept.keeper.flush()

    assert [row.is_flagged for i in (1, 2) if (row := kept.row(f"req_{i}"))] == [True, False]
    await kept.keeper.close()


async def test_of_a_refused_call_the_request_is_kept_if_something_was_flagged(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path)
    kept.keeper.refused("req_quota", holder("all"), CHAT, b"{}")
    kept.keeper.flagged("req_blocked")
    kept.keeper.refused("req_blocked", holder("flagged"), CHAT, b'{"bad":1}')
    await kept.keeper.flush()

    content = kept.content("req_blocked")
    assert content is not None
    assert (content.request, content.reply, content.http_status) == (b'{"bad":1}', b"", None)
    assert kept.row("req_quota") is None
    await kept.keeper.close()


async def test_what_is_long_is_cut_off_and_says_so(tmp_path: Path) -> None:
    kept = Kept(tmp_path, each_max_bytes=100_000)
    tap = kept.keeper.begin("req_1", holder(), CHAT, b"q" * 100_007)
    assert tap is not None
    for number in range(300):
        tap.add(b"%03d" % number + b"." * 997)
    tap.end(200, is_stream=True)
    await kept.keeper.flush()

    content = kept.content("req_1")
    assert content is not None
    assert (len(content.request), content.request_bytes) == (100_000, 100_007)
    assert content.reply_bytes == 300_000
    assert 100_000 <= len(content.reply) <= 120_000
    whole = b"".join(b"%03d" % number + b"." * 997 for number in range(300))
    assert whole.startswith(content.reply)  # no holes
    await kept.keeper.close()


async def test_calls_that_wait_for_a_verdict_take_the_memory_that_they_fill(tmp_path: Path) -> None:
    """D2: thousands of short calls wait at a time, each of them granted more than it needs."""
    kept = Kept(tmp_path)
    for number in range(10):
        kept.call(f"req_{number}", bodies="flagged", request=b"." * 100, reply=b"." * 200)
    assert kept.keeper.held_bytes <= 10 * 400

    kept.keeper.flagged("req_3")
    await kept.keeper.flush()
    kept.clock.advance(LINGER_S + 1)
    await kept.keeper.retain(Retention())
    await asyncio.sleep(0)
    assert kept.keeper.held_bytes == 0
    await kept.keeper.close()


async def test_memory_has_a_bound_and_calls_beyond_it_are_not_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """D2: a disk that stands still costs bodies and no memory; told once a minute, without content (P1)."""
    seals = SealsInMemory()
    kept = Kept(tmp_path, seals=seals, memory_max_bytes=500_000)
    seals.may_seal.clear()
    for number in range(40):
        kept.call(f"req_{number}", request=SECRET + b"." * 50_000)
    assert kept.keeper.held_bytes <= 500_000
    assert kept.dropped["memory"] > 20
    seals.may_seal.set()
    await kept.keeper.flush()
    await asyncio.sleep(0)

    assert kept.keeper.held_bytes == 0
    assert kept.kept + kept.dropped["memory"] >= 40
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "Pemberley" not in told[0]
    kept.call("req_again", request=b"." * 50_000)
    await kept.keeper.flush()
    assert kept.row("req_again") is not None
    await kept.keeper.close()


async def test_calls_that_wait_for_a_verdict_make_room_for_others(tmp_path: Path) -> None:
    kept = Kept(tmp_path, memory_max_bytes=200_000)
    for number in range(20):
        kept.call(f"req_{number}", request=b"." * 50_000, bodies="flagged")
    kept.keeper.flagged("req_19")
    kept.keeper.flagged("req_0")
    await kept.keeper.flush()

    assert kept.row("req_19") is not None
    assert kept.row("req_0") is None
    assert kept.dropped == {}
    await kept.keeper.close()


async def test_a_full_quota_drops_bodies_until_retention_makes_room(tmp_path: Path) -> None:
    """D2, P2: the file never grows beyond its quota, and deleting gives room back at once."""
    kept = Kept(tmp_path, max_bytes=2 << 20)
    for number in range(60):
        kept.call(f"req_{number:03}", request=os.urandom(60_000))
        await kept.keeper.flush()
    assert kept.dropped["full"] > 10
    assert (tmp_path / "bodies.db").stat().st_size <= 2 << 20

    kept.clock.advance(3 * 86_400)
    await kept.keeper.retain(Retention(spans={"grp_a": span(kept.clock.now_us() - DAY_US)}))
    kept.call("req_after", request=os.urandom(60_000))
    await kept.keeper.flush()

    assert kept.row("req_000") is None
    assert kept.row("req_after") is not None
    assert (tmp_path / "bodies.db").stat().st_size < 300_000
    await kept.keeper.close()


async def test_with_little_space_left_on_the_disk_nothing_is_kept(tmp_path: Path) -> None:
    """D2, D3: bodies stop long before the ledger has to."""
    kept = Kept(tmp_path, free_min_bytes=1 << 60)
    kept.call("req_1")
    await kept.keeper.flush()

    assert kept.dropped == {"disk": 1}
    await kept.keeper.close()


async def test_a_disk_that_fails_costs_bodies_and_heals_by_itself(tmp_path: Path) -> None:
    """D2: an I/O error in the file of bodies is nobody else's."""
    kept = Kept(tmp_path)
    kept.call("req_1")
    await kept.keeper.flush()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        kept.call("req_2", request=os.urandom(300_000))
        await kept.keeper.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept.call("req_3", request=os.urandom(300_000))
    await kept.keeper.flush()

    assert kept.dropped == {"failed": 1}
    assert kept.row("req_1") is not None
    assert kept.row("req_3") is not None
    await kept.keeper.close()


@pytest.mark.parametrize("damage", ["garbage", "hole", "cut"])
async def test_a_damaged_file_is_set_aside_for_a_day_and_another_begun(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """D2: damage costs the bodies that were in the file, and never a start."""
    first = Kept(tmp_path)
    for number in range(20):
        first.call(f"req_{number}", request=os.urandom(20_000))
    await first.keeper.close()
    path = tmp_path / "bodies.db"
    whole = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(b"no database" * 1000)
    elif damage == "cut":
        path.write_bytes(whole[:5_000])
    else:
        path.write_bytes(whole[:4096] + b"\xff" * 40_960 + whole[45_056:])

    kept = Kept(tmp_path, clock=first.clock)
    for _ in range(3):  # the damage may show at the first use, or a little later
        kept.call("req_new")
        await kept.keeper.retain(Retention(spans={"grp_a": span(0)}))
        kept.call("req_new2", request=os.urandom(100_000))
        await kept.keeper.flush()
    assert kept.row("req_new2") is not None
    aside = tmp_path / "bodies.db.damaged"
    assert aside.exists()
    kept.clock.advance(ASIDE_S + 1)
    await kept.keeper.retain(Retention(spans={"grp_a": span(0)}))

    assert not aside.exists()
    await kept.keeper.close()


async def test_a_file_of_another_program_or_a_later_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bodies.db"
    with sqlite3.connect(path) as other:
        other.executescript(f"CREATE TABLE t (x); PRAGMA application_id = {APPLICATION_ID};")
        other.execute("PRAGMA user_version = 9")
    other.close()
    before = path.read_bytes()
    kept = Kept(tmp_path)
    kept.call("req_1")
    await kept.keeper.retain(Retention())
    await kept.keeper.flush()
    await kept.keeper.close()

    assert kept.dropped == {"failed": 1}
    assert path.read_bytes() == before


async def test_what_was_deleted_is_nowhere_any_more(tmp_path: Path) -> None:
    """P2: canary search over every byte of the folder: rows, free pages, log; short bodies and long ones."""
    kept = Kept(tmp_path)
    canaries: dict[str, bytes] = {}
    sizes = [30, 200, 900, 3_000, 9_000, 40_000]
    for number in range(400):
        request_id = f"req_{number:04}"
        kept.call(
            request_id,
            request=os.urandom(sizes[number % len(sizes)]),
            member=f"mem_{number % 7}",
            group=f"grp_{number % 3}",
        )
        if number % 50 == 49:
            kept.clock.advance(3_600)
            await kept.keeper.flush()
    for number in range(400):
        sealed = kept.sealed(f"req_{number:04}")
        canaries[f"req_{number:04}"] = sealed[len(sealed) // 2 :][:24]
    assert all(canary in everywhere(tmp_path) for canary in canaries.values())

    now_us = kept.clock.now_us()
    spans = {"grp_0": span(now_us - 14_400 * 1_000_000), "grp_1": span(2**62), "grp_2": span(0)}
    await kept.keeper.retain(Retention(spans=spans))

    left = everywhere(tmp_path)
    for number in range(400):
        request_id = f"req_{number:04}"
        is_kept = kept.row(request_id) is not None
        assert (canaries[request_id] in left) is is_kept, request_id
    assert sum(kept.row(i) is not None for i in canaries) == 133 + 67
    assert (tmp_path / "bodies.db-wal").stat().st_size == 0
    await kept.keeper.close()


async def test_erasing_a_person_leaves_nothing_of_theirs(tmp_path: Path) -> None:
    """P4: on the disk, in memory, and of a call that still runs."""
    kept = Kept(tmp_path)
    kept.call("req_1")
    kept.call("req_2", member="mem_b")
    running = kept.keeper.begin("req_3", holder(), CHAT, b"{}")
    assert running is not None
    running.add(b"x" * 1000)
    await kept.keeper.flush()

    assert await kept.keeper.erase(["mem_a"]) == 1
    running.add(b"x" * 100_000)
    running.end(200, is_stream=False)
    await kept.keeper.flush()
    await asyncio.sleep(0)

    assert [kept.row(f"req_{i}") is not None for i in (1, 2, 3)] == [False, True, False]
    assert kept.keeper.held_bytes == 0
    kept.seals.destroy("mem_a")
    kept.call("req_4")
    await kept.keeper.flush()
    assert kept.dropped == {"erased": 1}
    await kept.keeper.close()


async def test_of_groups_that_are_held_nothing_is_deleted_and_of_unknown_ones_all(
    tmp_path: Path,
) -> None:
    """P2: a legal hold stops retention, of a group or of a member."""
    kept = Kept(tmp_path)
    kept.call("req_1", group="grp_held")
    kept.call("req_2", group="grp_a", member="mem_held")
    kept.call("req_3", group="grp_a")
    kept.call("req_4", group="grp_gone")
    await kept.keeper.flush()

    await kept.keeper.retain(
        Retention(
            spans={"grp_held": span(2**62), "grp_a": span(2**62)},
            held_groups=frozenset({"grp_held"}),
            held_members=frozenset({"mem_held"}),
        )
    )

    assert [kept.row(f"req_{i}") is not None for i in (1, 2, 3, 4)] == [True, True, False, False]
    await kept.keeper.close()


async def test_fewer_days_and_less_logging_count_for_what_is_there(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keeper.flagged("req_1")
    kept.call("req_1")
    kept.call("req_2")
    await kept.keeper.flush()
    only_flagged = Span(flagged_since_us=0, others_since_us=2**62)
    await kept.keeper.retain(Retention(spans={"grp_a": only_flagged}))

    assert [kept.row(f"req_{i}") is not None for i in (1, 2)] == [True, False]
    await kept.keeper.close()


@pytest.mark.parametrize("then", ["stop", "another"])
async def test_who_waits_for_deleting_hears_of_it_though_it_never_began(
    tmp_path: Path, then: str
) -> None:
    """A stop right behind it must not wait for ever."""
    kept = Kept(tmp_path)
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[int]] = [loop.create_future() for _ in range(2)]
    for done in waiting[: 1 if then == "stop" else 2]:
        kept.keeper._orders.put(Retain(Retention(spans={}), done))
    kept.keeper._orders.put(Stop())

    await asyncio.to_thread(kept.keeper._inside.run)

    async with asyncio.timeout(5):
        assert await waiting[0] == 0


async def test_who_asks_behind_a_stop_hears_that_it_is_not_done(tmp_path: Path) -> None:
    """P2, D2: nobody waits for a thread that has ended, and no memory stays taken."""
    kept = Kept(tmp_path)
    loop = asyncio.get_running_loop()
    erased: asyncio.Future[int] = loop.create_future()
    flushed: asyncio.Future[None] = loop.create_future()
    swept: asyncio.Future[int] = loop.create_future()
    kept.call("req_1")
    kept.seals.may_seal.clear()  # so that the thread has not looked yet
    closing = asyncio.create_task(kept.keeper.close())
    await asyncio.sleep(0)
    late: list[Order] = [Erase(frozenset({"mem_a"}), erased), Flush(flushed)]
    for order in (*late, Retain(Retention(spans={}), swept)):
        kept.keeper._orders.put(order)
    kept.call("req_2")
    kept.seals.may_seal.set()

    async with asyncio.timeout(5):
        with pytest.raises(StoreError):
            await erased
        assert await swept == 0
        await flushed
        await closing
    with pytest.raises(StoreError, match="the server stops"):
        await kept.keeper.erase(["mem_a"])
    assert kept.row("req_1") is not None
    assert kept.keeper.held_bytes == 0


async def test_who_asks_after_the_threads_last_look_hears_of_it_too(tmp_path: Path) -> None:
    """P2."""
    kept = Kept(tmp_path)
    flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    kept.call("req_1")
    await kept.keeper.flush()
    kept.keeper._orders.put(Stop())
    thread = kept.keeper._thread
    assert thread is not None
    await asyncio.to_thread(thread.join)
    kept.keeper._orders.put(Flush(flushed))

    await kept.keeper.close()

    async with asyncio.timeout(5):
        await flushed


async def test_an_error_that_nobody_foresaw_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P2, D2: who waits is told, and what comes next is done."""
    kept = Kept(tmp_path)
    kept.call("req_1")
    await kept.keeper.flush()

    def fail(*args: object, **fields: object) -> int:
        raise RuntimeError("nobody foresaw this")

    with monkeypatch.context() as patched:
        for method in ("delete_some_of", "delete_some", "add"):
            patched.setattr(BodyFile, method, fail)
        async with asyncio.timeout(5):
            with pytest.raises(StoreError):
                await kept.keeper.erase(["mem_a"])
            assert await kept.keeper.retain(Retention(spans={})) == 0
            kept.call("req_2")
            await kept.keeper.flush()
    assert kept.dropped == {"failed": 1}
    async with asyncio.timeout(5):
        assert await kept.keeper.erase(["mem_a"]) == 1
        await kept.keeper.close()


async def test_a_copy_has_the_bodies_and_none_of_the_keys(tmp_path: Path) -> None:
    """P10"""
    kept = Kept(tmp_path)
    assert not copy_bodies(kept.keeper.path, tmp_path / "copy.db")
    kept.call("req_1")
    await kept.keeper.flush()

    assert copy_bodies(kept.keeper.path, tmp_path / "copy.db")

    with reading(tmp_path / "copy.db") as found:
        assert found is not None
        assert found.find("wsp_default", "req_1") is not None
    await kept.keeper.close()


async def test_what_nobody_expected_costs_one_body(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)

    class Odd(SealsInMemory):
        def seal(self, member_id: str, data: bytes, *, place: str) -> bytes:
            if place.endswith("req_1"):
                raise RuntimeError("nobody expected this")
            return super().seal(member_id, data, place=place)

    kept = Kept(tmp_path, seals=Odd())
    kept.call("req_1")
    kept.call("req_2")
    await kept.keeper.flush()

    assert kept.dropped == {"failed": 1}
    assert kept.row("req_2") is not None
    await kept.keeper.close()
