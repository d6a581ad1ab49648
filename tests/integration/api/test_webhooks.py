"""Webhooks by the admin API, to a real receiver: who is told of what, signed, again until it arrives (K20)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.integration.api.conftest import OWN_PORT, Counter
from tests.support.certificates import self_signed
from tests.support.webhook_receiver import Receiver, webhook_receiver
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.notices import Notice
from tuckshop.storage.notices import post
from tuckshop.storage.schema import deliveries, notices

pytestmark = pytest.mark.anyio

HOUR_S = 3_600.0
DAY_S = 24 * HOUR_S


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as found:
        yield found


@pytest.fixture(autouse=True)
async def running(counter: Counter) -> AsyncIterator[None]:
    """The sender runs as in a server; the looking is done by the tests."""
    notifier = counter.services.notifier
    notifier._sender.start()
    yield
    await notifier.close()


async def add(counter: Counter, url: str, **fields: Any) -> dict[str, Any]:
    answer = await counter.admin.post("/api/v1/webhooks", {"url": url, "reach": "any", **fields})
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.json
    return found


async def tell(counter: Counter, kind: Any = "flag", **fields: Any) -> None:
    notice = Notice(kind=kind, workspace_id=DEFAULT_WORKSPACE, **fields)
    await counter.writer.transact(lambda transaction: post(transaction, notice))
    await counter.services.notifier.step()


async def until(is_so: Callable[[], Any]) -> None:
    for _ in range(500):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


async def pass_time(counter: Counter, seconds: float) -> None:
    counter.clock.advance(seconds)
    counter.services.notifier._sender.wake()
    await settled(counter)


async def settled(counter: Counter) -> None:
    """Until nothing is being sent that is due."""
    sender = counter.services.notifier._sender
    await asyncio.sleep(0.02)
    await until(lambda: not sender._busy and not sender._woken.is_set())


def rows(counter: Counter) -> list[Any]:
    with counter.database.reader() as connection:
        return list(connection.execute(select(deliveries).order_by(deliveries.c.id)))


async def shown(counter: Counter, webhook: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await counter.admin.get(f"/api/v1/webhooks/{webhook['id']}")).json
    return found


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_notice_arrives_once_signed_and_with_ids_alone(
    counter: Counter, receiver: Receiver
) -> None:
    """K20: ids and numbers, no name of anybody, and no word of the secret anywhere but in its one answer."""
    group, member, key = await counter.chain(title="Software architecture")
    webhook = await add(counter, receiver.url("/hook?token=abc"))

    await tell(
        counter,
        group_id=group["id"],
        member_id=member["id"],
        key_id=key["id"],
        facts={"repeats": 1},
    )
    await until(lambda: receiver.came)
    await settled(counter)

    (came,) = receiver.came
    assert came.path == "/hook?token=abc"
    assert came.is_signed_with(webhook["secret"])
    assert int(came.headers["webhook-timestamp"]) == counter.clock.now_us() // 1_000_000
    assert came.id.startswith("ntc_")
    assert came.json == {
        "type": "flag",
        "timestamp": "2026-11-24T06:00:00Z",
        "data": {
            "group": group["id"],
            "member": member["id"],
            "key": key["id"],
            "repeats": 1,
        },
    }
    page = (await counter.admin.get(f"/api/v1/webhooks/{webhook['id']}/deliveries")).json
    assert [(one["id"], one["state"], one["status"]) for one in page["data"]] == [
        (came.id, "sent", 204)
    ]
    assert "secret" not in await shown(counter, webhook)
    with counter.database.reader() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM webhooks").all())
        trail = str(connection.exec_driver_sql("SELECT * FROM audit").all())
    assert webhook["secret"] not in stored
    assert "token=abc" not in trail


async def test_each_is_told_of_its_kinds_and_groups_and_of_nothing_before_it_was_there(
    counter: Counter, receiver: Receiver
) -> None:
    group = await counter.group()
    other = await counter.group(name="other")
    await add(counter, receiver.url("/one"), kinds=["strike"], groups=["swa"])
    await tell(counter, "strike", group_id=group["id"])
    counter.clock.advance(1)
    await add(counter, receiver.url("/all"))

    await tell(counter, "flag", group_id=group["id"])
    await tell(counter, "strike", group_id=other["id"])
    await tell(counter, "alarm")
    await until(lambda: len(receiver.came) == 4)
    await settled(counter)

    assert sorted((one.path, one.json["type"]) for one in receiver.came) == [
        ("/all", "alarm"),
        ("/all", "flag"),
        ("/all", "strike"),
        ("/one", "strike"),
    ]


async def test_without_anybody_to_tell_nothing_is_looked_at(
    counter: Counter, receiver: Receiver
) -> None:
    await tell(counter)
    with counter.database.reader() as connection:
        assert connection.execute(select(notices.c.passed_on_at)).all() == [(None,)]

    counter.clock.advance(1)
    await add(counter, receiver.url())
    await tell(counter)
    await until(lambda: receiver.came)
    await settled(counter)

    assert len(receiver.came) == 1  # what was before is nobody's news


# ── again until it arrives ───────────────────────────────────────────────────────────────────────────────────────


async def test_what_does_not_arrive_is_sent_again_with_the_same_id(
    counter: Counter, receiver: Receiver
) -> None:
    """K20: replay-safe: by its id the receiver knows a repeat, by its time how old it is."""
    webhook = await add(counter, receiver.url())
    receiver.status = 503
    await tell(counter)
    await until(lambda: receiver.came)
    await settled(counter)
    failing = await shown(counter, webhook)

    await pass_time(counter, 4)
    assert len(receiver.came) == 1
    await pass_time(counter, 2)
    await until(lambda: len(receiver.came) == 2)
    await settled(counter)
    receiver.status = 200
    await pass_time(counter, 31)
    await until(lambda: len(receiver.came) == 3)
    await settled(counter)

    assert (failing["waiting"], failing["told"]) == (1, "answered 503")
    assert failing["failing_since"] is not None
    assert len({one.id for one in receiver.came}) == 1
    times = [int(one.headers["webhook-timestamp"]) for one in receiver.came]
    assert times == sorted(set(times))
    assert all(one.is_signed_with(webhook["secret"]) for one in receiver.came)
    assert [row.state for row in rows(counter)] == ["sent"]
    mended = await shown(counter, webhook)
    assert (mended["failing_since"], mended["told"], mended["waiting"]) == (None, None, 0)


async def test_one_that_is_never_taken_holds_up_no_other(
    counter: Counter, receiver: Receiver
) -> None:
    await add(counter, receiver.url())
    receiver.refuses = "poison"
    await tell(counter, facts={"what": "poison"})
    await settled(counter)
    for number in range(3):
        await tell(counter, facts={"what": f"good {number}"})
    await pass_time(counter, 6)
    await until(lambda: sum(row.state == "sent" for row in rows(counter)) == 3)

    assert [row.state for row in rows(counter)].count("waiting") == 1


async def test_a_slow_receiver_holds_up_nobody(counter: Counter, receiver: Receiver) -> None:
    with webhook_receiver() as slow:
        slow.hold_s = 0.4
        await add(counter, slow.url("/slow"))
        await add(counter, receiver.url("/quick"))
        for _ in range(3):
            await tell(counter)
        await until(lambda: len(receiver.came) == 3)

        assert len(slow.came) == 1
        await until(lambda: len(slow.came) == 3)
        await settled(counter)


async def test_what_is_not_taken_for_days_is_given_up_and_the_webhook_paused(
    counter: Counter, receiver: Receiver
) -> None:
    webhook = await add(counter, receiver.url())
    receiver.status = 500
    for day in range(6):
        await tell(counter, facts={"day": day})
        for _ in range(8):
            await pass_time(counter, 3 * HOUR_S)

    paused = await shown(counter, webhook)
    count = len(receiver.came)
    await tell(counter)
    await pass_time(counter, DAY_S)

    assert paused["state"] == "paused"
    assert paused["dead"] >= 2
    assert len(receiver.came) == count
    with counter.database.reader() as connection:
        told = connection.execute(select(notices.c.kind, notices.c.facts)).all()
    assert ("webhook_paused", f'{{"webhook":"{webhook["id"]}","days":5}}') in told

    receiver.status = 200
    again = await counter.admin.patch(f"/api/v1/webhooks/{webhook['id']}", {"state": "active"})
    await settled(counter)

    assert (again.json["state"], again.json["failing_since"]) == ("active", None)
    await until(lambda: not [row for row in rows(counter) if row.state == "waiting"])


async def test_what_waits_is_found_by_the_next_server(counter: Counter, receiver: Receiver) -> None:
    await add(counter, receiver.url())
    await counter.services.notifier._sender.close()
    await tell(counter)
    await tell(counter)

    sender = counter.services.notifier._sender
    sender._closing = False
    sender.start()
    await until(lambda: len(receiver.came) == 2)
    await settled(counter)


# ── where it goes ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_redirect_is_not_followed(counter: Counter, receiver: Receiver) -> None:
    """K20."""
    with webhook_receiver() as other:
        webhook = await add(counter, receiver.url())
        receiver.status, receiver.location = 307, other.url()
        answer = await counter.admin.post(f"/api/v1/webhooks/{webhook['id']}/test")

        assert answer.json["arrived"] is False
        assert "redirects are not followed" in answer.json["message"]
        assert other.came == []


async def test_the_certificate_is_looked_at(
    counter: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K20: over TLS, and only to whom somebody vouches for."""
    certificate = self_signed(tmp_path, "localhost")
    with webhook_receiver(certificate) as receiver:
        webhook = await add(counter, receiver.url(host="localhost"))
        path = f"/api/v1/webhooks/{webhook['id']}/test"

        unknown = await counter.admin.post(path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        known = await counter.admin.post(path)

        assert "certificate" in unknown.json["message"]
        assert known.json == {
            "webhook": webhook["id"],
            "arrived": True,
            "status": 204,
            "message": f"localhost:{receiver.port} answered 204.",
        }
        (came,) = receiver.came
        assert came.is_signed_with(webhook["secret"])
        assert came.json["type"] == "test"


NOT_PUBLIC = [
    "http://hooks.example.org/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://10.0.0.1/hook",
    "https://192.168.1.1/hook",
    "https://169.254.169.254/latest",
    "https://[::ffff:127.0.0.1]/",
    "https://0.0.0.0/",
    "https://user:password@hooks.example.org/",
    "https://hooks.example.org/#part",
    "ftp://hooks.example.org/",
    "https://hooks.example.org/a b",
    f"https://localhost:{OWN_PORT}/",
]


@pytest.mark.parametrize("url", NOT_PUBLIC)
async def test_addresses_are_https_and_public(counter: Counter, url: str) -> None:
    """K20."""
    answer = await counter.admin.post("/api/v1/webhooks", {"url": url})

    assert answer.status == 422, answer.body
    assert answer.json["errors"][0]["field"] == "url"


async def test_our_own_listener_is_refused_whoever_names_it(counter: Counter) -> None:
    """K20."""
    for reach in ("public", "any"):
        body = {"url": f"https://tuckshop.example.org:{OWN_PORT}/", "reach": reach}
        assert (await counter.admin.post("/api/v1/webhooks", body)).status == 422


async def test_the_address_is_checked_at_every_connect(
    counter: Counter, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K20: a name that first leads to a public address, and then inside."""
    webhook = await counter.admin.post(
        "/api/v1/webhooks", {"url": f"https://rebinds.example.org:{receiver.port}/"}
    )
    assert webhook.status == 201, webhook.body
    asked: list[str] = []

    async def lookup(self: Any, host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        return [(*kind, ("127.0.0.1", port))]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", lookup)
    for count in (1, 2):
        answer = await counter.admin.post(f"/api/v1/webhooks/{webhook.json['id']}/test")
        assert "not public" in answer.json["message"]
        assert asked == ["rebinds.example.org"] * count

    assert receiver.came == []


async def test_another_host_gets_another_secret(counter: Counter, receiver: Receiver) -> None:
    """K20: what is signed for whoever is told now convinces nobody who was told before."""
    webhook = await add(counter, receiver.url())
    path = f"/api/v1/webhooks/{webhook['id']}"

    same_host = await counter.admin.patch(path, {"url": receiver.url("/other")})
    moved = await counter.admin.patch(path, {"url": receiver.url(host="localhost")})
    await counter.admin.post(f"{path}/test")
    asked_for = await counter.admin.patch(path, {"new_secret": True})

    assert "secret" not in same_host.json
    assert len({webhook["secret"], moved.json["secret"], asked_for.json["secret"]}) == 3
    (came,) = receiver.came
    assert came.is_signed_with(moved.json["secret"])
    assert not came.is_signed_with(webhook["secret"])


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_owner_is_told_of_their_own_groups_at_public_addresses(counter: Counter) -> None:
    """K5, K6, K20."""
    await counter.group()
    await counter.group(name="other")
    owner = await counter.staff("owner")
    url = "https://hooks.example.org/own"
    theirs = await owner.post("/api/v1/webhooks", {"url": url, "groups": ["swa"]})
    everyones = await add(counter, "https://hooks.example.org/all")
    both = await add(counter, "https://hooks.example.org/both", groups=["swa", "other"])
    inside = await add(counter, "http://127.0.0.1:9/", groups=["swa"])

    refused = [
        await owner.post("/api/v1/webhooks", {"url": url}),
        await owner.post("/api/v1/webhooks", {"url": url, "groups": ["swa"], "reach": "any"}),
        await owner.patch(f"/api/v1/webhooks/{theirs.json['id']}", {"groups": None}),
        await owner.patch(f"/api/v1/webhooks/{theirs.json['id']}", {"reach": "any"}),
        await owner.patch(f"/api/v1/webhooks/{inside['id']}", {"url": "http://127.0.0.1:10/"}),
    ]
    unknown = await owner.post("/api/v1/webhooks", {"url": url, "groups": ["other"]})

    assert [one.status for one in refused] == [403] * len(refused)
    assert unknown.status == 422
    assert "There is no group 'other'" in unknown.json["errors"][0]["message"]
    seen = (await owner.get("/api/v1/webhooks")).json["data"]
    assert {one["id"] for one in seen} == {theirs.json["id"], inside["id"]}
    for hidden in (everyones, both):
        assert (await owner.get(f"/api/v1/webhooks/{hidden['id']}")).status == 404
    paused = await owner.patch(f"/api/v1/webhooks/{inside['id']}", {"state": "paused"})
    assert paused.status == 200


async def test_a_repeat_gives_the_same_webhook_another_secret(
    counter: Counter, receiver: Receiver
) -> None:
    """M14."""
    body = {"url": receiver.url(), "reach": "any"}
    name = {"idempotency-key": "one"}
    first, again = [
        (await counter.admin.send("POST", "/api/v1/webhooks", body=body, headers=name)).json
        for _ in "12"
    ]
    await counter.admin.post(f"/api/v1/webhooks/{first['id']}/test")

    assert first["id"] == again["id"]
    (came,) = receiver.came
    assert came.is_signed_with(again["secret"])
    assert len((await counter.admin.get("/api/v1/webhooks")).json["data"]) == 1


async def test_a_removed_one_is_told_nothing_more(counter: Counter, receiver: Receiver) -> None:
    webhook = await add(counter, receiver.url())
    receiver.status = 500
    await tell(counter)
    await until(lambda: receiver.came)
    await settled(counter)

    gone = await counter.admin.delete(f"/api/v1/webhooks/{webhook['id']}")
    await pass_time(counter, HOUR_S)

    assert gone.status == 200
    assert rows(counter) == []
    assert len(receiver.came) == 1
