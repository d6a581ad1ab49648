"""
The server dies at one point of a call's life, for each point between two states; what the next start makes of it.

| died                                    | its row afterwards                                       |
| before the reservation's commit         | none, and nothing was billed (M2, M15)                   |
| behind it, the resolution not committed | settled at what was held, `unconfirmed` (R1, M4, M9)     |
| behind the resolution's commit          | as it was resolved: exact and unflagged, or voided (M6)  |
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.conftest import key_of_new_member
from tests.acceptance.test_race import assert_verified, nano, until_open
from tests.support.failpoints import MARK, POINTS
from tests.support.http import Reply, request_bytes, send
from tests.support.oracle import billed_nano_usd
from tests.support.positions import Row, most_held_at_once, rows_of
from tests.support.processes import Mock, Server, start_mock, start_server

pytestmark = pytest.mark.long

CHAT = "/v1/chat/completions"
LIMIT_NANO = 10**9
GROUP = "dying"
ROOT = Path(__file__).parents[2]

CHECKED = {"unjudged": {"mode": "block"}, "unpassed": {"mode": "off", "outputs": "block"}}
NOTHING = ("received", "authenticated", "policy", "reserve-before-commit")
BOUND = (
    *(
        "reserve-after-commit",
        "unjudged",
        "reserved",
        "dispatched-unsent",
        "dispatched",
        "first-byte",
    ),
    *("streaming", "unpassed", "settle-before-hand-over", "settle-before-commit"),
    *("void-before-hand-over", "void-before-commit"),
)
EXACT: Final = ("settle-after-commit",)
VOIDED: Final = ("void-after-commit",)
AT_START: Final = ("recovery-before-commit", "recovery-after-commit")


def test_every_point_has_its_test() -> None:
    assert sorted(POINTS) == sorted((*NOTHING, *BOUND, *EXACT, *VOIDED, *AT_START))


def command(point: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.failpoints", point, "serve"]


class World:
    """
    One upstream and one data folder for all points.

    A server that died is followed by the one that will die at the next point: until its marked call comes it is the
    server like any other, so each start serves both to judge the last death and to prepare the next.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mock = start_mock(folder / "upstream")
        self.server: Server | None = None
        self.doom = ""
        self.key = ""

    def doomed(self, point: str) -> Server:
        """A server that will die at *point*."""
        if self.server is None or self.server.process.poll() is not None or self.doom != point:
            self.stop()
            self.server = start_server(
                self.folder,
                self.mock.url,
                command=command(point),
                PYTHONPATH=f"{ROOT}:{ROOT / 'src'}",
            )
            self.doom = point
        if not self.key:
            self.key = key_of_new_member(self.server, GROUP, shared=["$1 total"])
        return self.server

    def follow(self, point: str) -> Server:
        """The server after the death at *point*."""
        points = (*NOTHING, *BOUND, *EXACT, *VOIDED, "streaming")
        return self.doomed(points[points.index(point) + 1])

    def stop(self) -> None:
        """End the running server, if there is one."""
        if self.server is not None:
            self.server.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("dying"))
    yield world
    world.stop()
    world.mock.stop()


def body(text: str, *, stream: bool) -> dict[str, Any]:
    return {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 250,
        "stream": stream,
    }


def marked(server: Server, key: str, point: str) -> bytes:
    """The call that the server dies of."""
    text = "[[tokens:30]] [[speed:100]]"
    if point == "dispatched":
        text = "[[tokens:30]] [[first-token-ms:600]]"
    elif point.startswith("void"):
        text = "[[fault:429]]"
    elif point == "unpassed":
        text = "[[tokens:200]] [[speed:100]]"
    elif point == "streaming":
        text = "[[tokens:30]] [[speed:20]]"
    raw = request_bytes(server.url, CHAT, key, body(text, stream=True))
    return raw.replace(b"\r\n\r\n", b"\r\nx-tuckshop-tag: %b\r\n\r\n" % MARK.encode(), 1)


async def call_until_it_dies(server: Server, mock: Mock, key: str, point: str) -> Reply:
    """The reply to the marked call, as far as it came; three others run beside it."""
    others = [
        body("[[tokens:40]] [[speed:40]]", stream=False),
        body("[[tokens:200]] [[speed:40]]", stream=True),
        body("[[tokens:150]] [[speed:40]]", stream=True),
    ]
    beside = [
        asyncio.create_task(send(server.url, request_bytes(server.url, CHAT, key, other)))
        for other in others
    ]
    await until_open(mock, 3)
    reply = await send(server.url, marked(server, key, point))
    await asyncio.gather(*beside)
    return reply


def settled_mock(mock: Mock) -> None:
    deadline = time.monotonic() + 10
    while mock.state()["open"] and time.monotonic() < deadline:
        time.sleep(0.02)  # it still writes its bill


def check(server: Server, mock: Mock, since: int) -> Row | None:
    """The oracle's verdict on all there is; returns the row of the marked call that came after position *since*."""
    rows = rows_of(server.data)
    for request_id, owed in billed_nano_usd(mock.bill).items():
        assert request_id in rows, f"{request_id} was billed and is not recorded (M3, M4)"
        row = rows[request_id]
        assert row.state == "settled", f"{request_id} was billed and is {row.state} (M10)"
        assert row.cost is not None
        assert row.cost >= owed, f"{request_id} is recorded below its bill (M5)"
        assert row.cost == owed or "unconfirmed" in row.flags, "over-charged without a flag (M16)"
        assert row.cost <= row.held_cost
    assert {row.state for row in rows.values()} <= {"settled", "voided"}
    assert most_held_at_once(rows.values()) <= LIMIT_NANO
    (limit,) = server.made("GET", f"/groups/{GROUP}")["in_force"]
    assert limit["reserved"] == 0
    assert nano(limit["used"]) == sum(row.cost or 0 for row in rows.values())
    usage = server.made("GET", "/usage?by=group")["data"]
    assert nano(usage[0]["cost_usd"]) == nano(limit["used"])
    assert_verified(server)
    return next((row for row in rows.values() if row.tag == MARK and row.position > since), None)


def last_position(server: Server) -> int:
    return max((row.position for row in rows_of(server.data).values()), default=0)


def sent_marked(mock: Mock) -> int:
    """How many of the calls that the upstream was sent were marked ones."""
    return sum(
        "messages" in (r["body"] or {}) and "[[speed:40]]" not in str(r["body"])
        for r in mock.requests()
    )


@pytest.mark.parametrize("point", [*NOTHING, *BOUND, *EXACT, *VOIDED])
def test_what_becomes_of_a_call_that_the_server_died_of(world: World, point: str) -> None:
    mock, server = world.mock, world.doomed(point)
    if point in CHECKED:  # only a policy that blocks waits for a verdict (section 12)
        server.made("PATCH", f"/groups/{GROUP}", {"moderation": CHECKED[point]})
    since, sent_before = last_position(server), sent_marked(mock)
    reply = asyncio.run(call_until_it_dies(server, mock, world.key, point))
    assert server.process.wait(10) == -9
    sent = sent_marked(mock) - sent_before

    began = time.monotonic()
    server = world.follow(point)
    # Ready within 5 s of its own time: what it waited for a processor is the machine's, which others use too.
    assert time.monotonic() - began - server.starved_s() <= 5
    if point in CHECKED:
        server.made("PATCH", f"/groups/{GROUP}", {"moderation": None})
    settled_mock(mock)
    row = check(server, mock, since)

    if point in (*NOTHING, "reserve-after-commit", "unjudged", "reserved"):
        assert sent == 0
    elif point != "dispatched-unsent":
        assert sent == 1
    if point == "streaming":
        assert b"data: " in reply.body
        assert not reply.complete
    if point == "unpassed":
        assert reply.body.count(b'"content":"') <= 1, "no more than the empty first one"
    if point in NOTHING:
        assert row is None
        return
    assert row is not None
    if point in BOUND:
        assert (row.state, row.flags) == ("settled", "unconfirmed")
        assert row.cost == row.held_cost
    elif point in EXACT:
        assert row.state == "settled"
        assert "unconfirmed" not in row.flags
        assert row.cost == billed_nano_usd(mock.bill)[row.id]
    else:
        assert row.state == "voided"
        assert not row.cost


@pytest.mark.parametrize("point", AT_START)
def test_a_start_that_dies_while_it_recovers_is_made_good_by_the_next(
    world: World, point: str
) -> None:
    mock, server = world.mock, world.doomed("streaming")
    since = last_position(server)
    asyncio.run(call_until_it_dies(server, mock, world.key, "streaming"))
    server.process.wait(10)

    with pytest.raises(AssertionError, match="the server ended with -9"):
        world.doomed(point)
    server = world.doomed("streaming")
    settled_mock(mock)
    row = check(server, mock, since)

    assert row is not None
    assert (row.state, row.flags, row.cost) == ("settled", "unconfirmed", row.held_cost)


def test_without_a_marked_call_the_harness_is_the_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.failpoints", "policy", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("tuckshop ")
