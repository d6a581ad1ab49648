"""Flags by the admin API: noted behind calls, counted, struck, listed and resolved."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from tests.integration.api.conftest import Counter
from tests.integration.api.test_log_and_usage import put, row
from tests.support.asgi_client import Answer
from tuckshop.domain.errors import ServerBusyError
from tuckshop.domain.flags import NewFlag
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.watch import Alarm, Unwatched
from tuckshop.services.flag_notes import FlagNotes
from tuckshop.storage.schema import appeals, flagged_calls, notices, requests

pytestmark = pytest.mark.anyio

DAY_S = 86_400


class Said:
    """Contents of one member, as checks of calls would note them."""

    def __init__(
        self, counter: Counter, group: dict[str, Any], member: dict[str, Any], key: dict[str, Any]
    ) -> None:
        self._counter = counter
        self._whose = {"group_id": group["id"], "member_id": member["id"], "key_id": key["id"]}
        self.number = 0

    async def __call__(self, content: str, **fields: Any) -> dict[str, Any]:
        """Note it, and the flag as it then is."""
        self.number += 1
        self._counter.clock.advance(0.001)
        known: dict[str, Any] = {
            "workspace_id": DEFAULT_WORKSPACE,
            **self._whose,
            "request_id": f"req_{self.number}",
            "source": "moderation",
            "action": "blocked",
            "reasons": ("violence",),
            "scores": {"violence": 0.93},
            "content": content.encode(),
            "is_own": True,
        }
        self._counter.services.flag_notes.note(NewFlag(**{**known, **fields}))
        data = (await self._counter.admin.get("/api/v1/moderation/flags")).json["data"]
        newest: dict[str, Any] = max(data, key=lambda flag: (flag["last_at"], flag["id"]))
        return newest


async def said_by(counter: Counter, **fields: Any) -> tuple[Said, dict[str, Any], dict[str, Any]]:
    group, member, key = await counter.chain(**fields)
    return Said(counter, group, member, key), member, key


async def state_of(counter: Counter, path: str) -> str:
    return str((await counter.admin.get(f"/api/v1/{path}")).json["state"])


async def told(counter: Counter, kind: str) -> list[dict[str, Any]]:
    with counter.database.reader() as connection:
        query = select(notices).where(notices.c.kind == kind).order_by(notices.c.id)
        return [
            {**row, "facts": msgspec.json.decode(row["facts"])}
            for row in connection.execute(query).mappings()
        ]


async def resolve(counter: Counter, flag: dict[str, Any], **fields: Any) -> Answer:
    body = {"state": "dismissed", "reason": "an exercise of week 3", **fields}
    return await counter.admin.post(f"/api/v1/moderation/flags/{flag['id']}/resolve", body)


async def test_a_flag_is_shown_with_all_but_its_content(counter: Counter) -> None:
    said, member, key = await said_by(counter)
    await put(counter, requests, [row(1, member_id=member["id"], group_id=member["group"])])

    flag = await said("how to hurt somebody")

    assert flag == {
        "id": flag["id"],
        "at": flag["at"],
        "last_at": flag["at"],
        "repeats": 1,
        "group": member["group"],
        "member": member["id"],
        "key": key["id"],
        "request": "req_1",
        "source": "moderation",
        "action": "blocked",
        "reasons": ["violence"],
        "scores": {"violence": Decimal("0.93")},
        "own": True,
        "state": "open",
        "paused": None,
        "resolved_by": None,
        "resolved_at": None,
        "reason": None,
        "appealed_at": None,
    }
    shown = await counter.admin.get(f"/api/v1/moderation/flags/{flag['id']}")
    assert shown.json == {**flag, "requests": ["req_1"], "appeals": []}
    assert "hurt" not in shown.body.decode()


async def test_an_equal_content_is_counted_and_no_flag_of_its_own(counter: Counter) -> None:
    """Section 12: strikes count distinct contents once."""
    said, _, _ = await said_by(counter)

    first = await said("the same")
    counter.clock.advance(60)
    again = await said("the same", action="noted")
    other = await said("the same", source="rule", reasons=("words",))

    assert (again["id"], again["repeats"], again["action"]) == (first["id"], 2, "noted")
    assert again["at"] == first["at"] < again["last_at"]
    assert other["id"] != first["id"]
    shown = await counter.admin.get(f"/api/v1/moderation/flags/{first['id']}")
    assert sorted(shown.json["requests"]) == ["req_1", "req_2"]
    assert [notice["facts"]["flag"] for notice in await told(counter, "flag")] == [
        first["id"],
        other["id"],
    ]


async def test_calls_that_were_flagged_are_found_in_the_log_by_those_who_see_conduct(
    counter: Counter,
) -> None:
    """P6: what a member was flagged for is not for everybody who reads sums."""
    said, member, _ = await said_by(counter)
    whose = {"member_id": member["id"], "group_id": member["group"]}
    await put(counter, requests, [row(number, **whose) for number in range(1, 5)])
    await put(counter, requests, [row(5, **whose, flags="clamped")])
    await said("one")
    await said("one")
    await said("two", request_id="req_4")

    found: dict[str, list[tuple[str, list[str]]]] = {}
    for role in ("viewer", "assistant", "owner"):
        client = await counter.staff(role)
        data = (await client.get("/api/v1/requests", flagged="true")).json["data"]
        found[role] = [(call["id"], call["flags"]) for call in data]
    rest = (await counter.admin.get("/api/v1/requests", flagged="false")).json["data"]

    assert found["viewer"] == [("req_5", ["clamped"])]
    said_in = [(f"req_{number}", ["flagged"]) for number in (4, 2, 1)]
    assert found["owner"] == found["assistant"] == [("req_5", ["clamped"]), *said_in]
    assert [call["id"] for call in rest] == ["req_3"]
    assert (await counter.admin.get("/api/v1/requests/req_1")).json["flags"] == ["flagged"]


async def test_so_many_own_contents_in_so_many_days_pause_the_member(counter: Counter) -> None:
    """Section 12, K16: the pause names its flags; repeats and what is not the member's own count for nothing."""
    said, member, key = await said_by(counter, strikes={"count": 3, "days": 30, "pause": "member"})
    path = f"members/{member['id']}"

    first = await said("one")
    second = await said("two")
    await said("two")
    await said("a document", is_own=False)
    assert await state_of(counter, path) == "active"
    third = await said("three")

    assert await state_of(counter, path) == "paused"
    assert await state_of(counter, f"keys/{key['id']}") == "active"
    trail = (await counter.admin.get("/api/v1/audit", action="member.strike")).json["data"]
    ids = sorted(flag["id"] for flag in (first, second, third))
    assert [(one["actor"], one["object"], one["before"], one["after"]) for one in trail] == [
        ("system", member["id"], {"state": "active"}, {"state": "paused", "flags": ids})
    ]
    (notice,) = await told(counter, "strike")
    assert notice["member_id"] == member["id"]
    assert notice["facts"] == {"flag": third["id"], "contents": 3, "days": 30, "paused": "member"}
    assert third["paused"] == member["id"]


async def test_a_strike_cuts_what_runs(counter: Counter) -> None:
    """K3: like any other pause, before the next call of anybody."""
    said, member, _ = await said_by(counter, strikes={"count": 1})
    cut: list[frozenset[str]] = []
    counter.services.directory.on_cut(cut.append)

    await said("one")

    assert cut == [frozenset({member["id"]})]


async def test_flags_are_kept_as_long_as_rows_of_the_log_unless_they_are_held(
    counter: Counter,
) -> None:
    """P9: with the calls they were found in, and with what was said to them."""
    said, member, _ = await said_by(counter, log_days=70)
    other = await counter.member(external_id="4712")
    old, held = await said("one"), await said("two", member_id=other["id"])
    for flag in (old, held):
        path = f"/api/v1/moderation/flags/{flag['id']}/appeal"
        assert (await counter.admin.post(path, {"reason": "a quotation"})).status == 200
    made = await counter.admin.post("/api/v1/holds", {"member": other["id"], "reason": "a lawsuit"})
    assert made.status == 201, made.body
    counter.clock.advance(40 * DAY_S)
    late = await said("three")
    counter.clock.advance(40 * DAY_S)

    await counter.services.log_folding.sweep()

    left = (await counter.admin.get("/api/v1/moderation/flags")).json["data"]
    assert [flag["id"] for flag in left] == [late["id"], held["id"]]
    with counter.database.reader() as connection:
        calls = connection.execute(select(flagged_calls.c.flag_id)).scalars().all()
        said_to = connection.execute(select(appeals.c.flag_id)).scalars().all()
    assert set(calls) == {late["id"], held["id"]}
    assert said_to == [held["id"]]
    assert member["id"] != other["id"]


async def test_old_contents_are_no_strikes_until_they_come_again(counter: Counter) -> None:
    """Section 12."""
    said, member, _ = await said_by(counter, strikes={"count": 2, "days": 7})
    path = f"members/{member['id']}"

    await said("one")
    counter.clock.advance(8 * DAY_S)
    await said("two")
    assert await state_of(counter, path) == "active"
    await said("one")

    assert await state_of(counter, path) == "paused"


async def test_whoever_was_resumed_is_paused_again_by_something_new_alone(
    counter: Counter,
) -> None:
    """Section 12."""
    said, member, _ = await said_by(counter, strikes={"count": 2})
    path = f"members/{member['id']}"
    await said("one")
    await said("two")
    await counter.admin.post(f"/api/v1/{path}/resume")

    await said("two")
    assert await state_of(counter, path) == "active"
    await said("three")

    assert await state_of(counter, path) == "paused"


async def test_a_key_may_be_what_is_paused_or_nothing(counter: Counter) -> None:
    """Section 12."""
    said, member, key = await said_by(counter, strikes={"count": 1, "pause": "key"})

    flag = await said("one")

    assert await state_of(counter, f"keys/{key['id']}") == "paused"
    assert await state_of(counter, f"members/{member['id']}") == "active"
    assert flag["paused"] == key["id"]
    await counter.admin.post(f"/api/v1/keys/{key['id']}/resume")
    await counter.admin.patch("/api/v1/groups/swa", {"strikes": {"count": 1, "pause": "none"}})
    await said("two")
    assert await state_of(counter, f"keys/{key['id']}") == "active"
    assert [notice["facts"]["paused"] for notice in await told(counter, "strike")] == [
        "key",
        "none",
    ]


async def test_without_strikes_flags_pause_nobody(counter: Counter) -> None:
    said, member, _ = await said_by(counter)

    for number in range(9):
        await said(str(number))

    assert await state_of(counter, f"members/{member['id']}") == "active"
    assert not await told(counter, "strike")
    assert len(await told(counter, "flag")) == 9


async def test_what_is_dismissed_is_no_strike_any_more(counter: Counter) -> None:
    """Section 12: also where it comes again."""
    said, member, _ = await said_by(counter, strikes={"count": 2})
    flag = await said("a word of chemistry")

    answer = await resolve(counter, flag)
    await said("two")
    await said("a word of chemistry")

    assert answer.status == 200
    assert answer.json["state"] == "dismissed"
    assert answer.json["reason"] == "an exercise of week 3"
    assert answer.json["resolved_by"] == "operator"
    assert await state_of(counter, f"members/{member['id']}") == "active"
    trail = (await counter.admin.get("/api/v1/audit", action="flag")).json["data"]
    assert [(one["object"], one["before"], one["after"]) for one in trail] == [
        (
            flag["id"],
            {"state": "open"},
            {"state": "dismissed", "reason": "an exercise of week 3"},
        )
    ]


@pytest.mark.parametrize("pause", ["member", "key"])
async def test_what_a_strike_paused_goes_on_only_where_that_is_asked_for(
    counter: Counter, pause: str
) -> None:
    """Section 12, K16."""
    said, member, key = await said_by(counter, strikes={"count": 1, "pause": pause})
    path = f"members/{member['id']}" if pause == "member" else f"keys/{key['id']}"
    flag = await said("one")

    await resolve(counter, flag)
    assert await state_of(counter, path) == "paused"
    await resolve(counter, flag, resume=True)

    assert await state_of(counter, path) == "active"
    trail = (await counter.admin.get("/api/v1/audit", action=f"{pause}.resume")).json["data"]
    assert trail[0]["after"] == {"state": "active", "flag": flag["id"]}
    assert trail[0]["actor"] == "operator"


async def test_what_is_closed_for_good_does_not_go_on(counter: Counter) -> None:
    said, _, key = await said_by(counter, strikes={"count": 1, "pause": "key"})
    flag = await said("one")
    await counter.admin.post(f"/api/v1/keys/{key['id']}/revoke")

    refused = await resolve(counter, flag, resume=True)

    assert refused.status == 409
    assert (await counter.admin.get("/api/v1/moderation/flags")).json["data"][0]["state"] == "open"
    assert (await resolve(counter, flag)).status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"state": "open"}, "state"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"resume": 1}, "resume"),
    ],
)
async def test_a_resolution_says_what_and_why(
    counter: Counter, body: dict[str, Any], field: str
) -> None:
    """K16."""
    said, _, _ = await said_by(counter)
    flag = await said("one")

    answer = await resolve(counter, flag, **body)

    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


async def test_flags_are_found_by_whose_they_are_and_when_they_were_seen(counter: Counter) -> None:
    said, member, _ = await said_by(counter)
    counter.clock.advance(60)
    one = await said("one")
    counter.clock.advance(DAY_S)
    two = await said("two", source="rule", reasons=("words",))
    counter.clock.advance(DAY_S)
    await said("one")
    await resolve(counter, two)

    async def ids(**filters: str) -> list[str]:
        answer = await counter.admin.get("/api/v1/moderation/flags", **filters)
        assert answer.status == 200, answer.body
        return [flag["id"] for flag in answer.json["data"]]

    assert await ids() == [two["id"], one["id"]]
    assert await ids(group="swa", member=member["id"]) == [two["id"], one["id"]]
    assert await ids(state="open") == [one["id"]]
    assert await ids(source="rule") == [two["id"]]
    assert await ids(since=two["at"], until=two["at"]) == [one["id"]]
    assert await ids(until=one["at"]) == []
    page = await counter.admin.get("/api/v1/moderation/flags", limit="1")
    assert await ids(cursor=page.json["next_cursor"]) == [one["id"]]
    file = await counter.admin.send(
        "GET", "/api/v1/moderation/flags", headers={"accept": "text/csv"}
    )
    lines = file.body.decode().splitlines()
    assert lines[0].startswith("id,at,last_at,repeats,group,member,key,request,source,action")
    assert len(lines) == 3


async def test_a_member_who_is_gone_leaves_no_flag(counter: Counter) -> None:
    said, _, _ = await said_by(counter)
    await said("one")

    await said("two", member_id="mem_gone")

    assert len((await counter.admin.get("/api/v1/moderation/flags")).json["data"]) == 1


class _Changes:
    """Writes nothing while it is out of order."""

    def __init__(self) -> None:
        self.is_out_of_order = True
        self.was_tried = asyncio.Event()

    async def make(self, actor: object, work: object) -> None:
        self.was_tried.set()
        await asyncio.sleep(0)
        if self.is_out_of_order:
            raise ServerBusyError(reason="the disk is full")


class _Watch(Unwatched):
    def __init__(self) -> None:
        self.alarms: list[tuple[Alarm, int]] = []

    def alarm(self, alarm: Alarm, count: int = 1) -> None:
        self.alarms.append((alarm, count))


FLAG = NewFlag(
    workspace_id=DEFAULT_WORKSPACE, group_id="grp_1", member_id="mem_1", key_id="key_1", request_id="req_1",
    source="rule", action="blocked", reasons=("words",), content=b"c", is_own=True,
)  # fmt: skip


async def test_too_many_flags_are_lost_loudly_and_never_silently(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch, changes = _Watch(), _Changes()
    notes = FlagNotes(changes, watch, waiting_max=3)  # type: ignore[arg-type]  # a fake

    for _ in range(5):
        notes.note(FLAG)
    assert watch.alarms == [("flags_lost", 1)] * 2
    await notes.close()

    assert watch.alarms[2:] == [("flags_lost", 3)]
    assert "3 flags are lost: " in caplog.text


class _Choosy(_Changes):
    """Takes no batch that holds a certain flag."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[NewFlag] = []

    async def make(self, actor: object, work: Any) -> None:
        some = work.keywords["some"]
        if any(flag.request_id == "req_bad" for flag in some):
            raise UnicodeEncodeError("utf-8", "", 0, 1, "a flag that nothing can write")
        self.taken += some


async def test_one_flag_that_cannot_be_written_takes_no_other_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """P1: and of it the log tells what went wrong, and not in what."""
    watch, changes = _Watch(), _Choosy()
    notes = FlagNotes(changes, watch)  # type: ignore[arg-type]  # a fake

    for request in ("req_1", "req_bad", "req_3"):
        notes.note(msgspec.structs.replace(FLAG, request_id=request))
    await notes.close()

    assert [flag.request_id for flag in changes.taken] == ["req_1", "req_3"]
    assert watch.alarms == [("flags_lost", 1)]
    assert "1 flags are lost: UnicodeEncodeError" in caplog.text
    assert "nothing can write" not in caplog.text


async def test_flags_that_cannot_be_written_are_written_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tuckshop.services.flag_notes.AGAIN_S", 0.01)
    watch, changes = _Watch(), _Changes()
    notes = FlagNotes(changes, watch)  # type: ignore[arg-type]  # a fake
    notes.note(FLAG)
    await asyncio.wait_for(changes.was_tried.wait(), 5)

    changes.is_out_of_order = False
    await notes.flush()
    await notes.close()

    assert not watch.alarms
    assert not notes.waiting
