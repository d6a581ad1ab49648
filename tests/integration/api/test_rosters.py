"""Roster files: what one would do, doing it, doing it again, and what stops first to ask."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.support.asgi_client import Answer

pytestmark = pytest.mark.anyio

MOODLE = """First name,Last name,ID number,Email address,Groups
Ada,Lovelace,4711,ada@example.org,One
Charles,Babbage,4712,charles@example.org,One
"""


async def send(counter: Counter, text: str, where: str = "", **query: Any) -> Answer:
    return await counter.admin.send(
        "POST",
        f"/api/v1/groups/swa/members{where}",
        raw=text.encode(),
        query={name: str(value).lower() for name, value in query.items()},
        headers={"content-type": "text/csv; charset=utf-8"},
    )


async def preview(counter: Counter, text: str, **query: Any) -> Any:
    answer = await send(counter, text, "/preview", **query)
    assert answer.status == 200, answer.body
    return answer.json


async def states(counter: Counter) -> dict[str, str]:
    page = await counter.admin.get("/api/v1/groups/swa/members", state="all")
    return {one["external_id"]: one["state"] for one in page.json["data"]}


async def test_a_preview_tells_each_line_and_changes_nothing(counter: Counter) -> None:
    await counter.group()
    await counter.member(external_id="4711", name="Ada Lovelace")
    gone = await counter.member(external_id="4713", name="Grace Hopper")

    told = await preview(counter, MOODLE + "Nobody,,,,\n")

    assert told["rows"] == [
        {
            "line": 2,
            "external_id": "4711",
            "name": "Ada Lovelace",
            "action": "changed",
            "changes": ["email"],
            "before": {"email": None},
            "after": {"email": told["rows"][0]["after"]["email"]},
        },
        {
            "line": 3,
            "external_id": "4712",
            "name": "Charles Babbage",
            "action": "new",
            "changes": [],
            "before": {},
            "after": {},
        },
    ]
    assert "@" in told["rows"][0]["after"]["email"]
    assert told["errors"] == [
        {"line": 4, "field": "external_id", "message": "is empty (the row of Nobody)"}
    ]
    assert [(one["id"], one["state"]) for one in told["missing"]] == [(gone["id"], "active")]
    assert told["columns"] == {
        "external_id": "ID number",
        "first_name": "First name",
        "last_name": "Last name",
        "email": "Email address",
    }
    assert told["ignored"] == ["Groups"]
    assert await states(counter) == {"4711": "active", "4713": "active"}


async def test_a_file_taken_twice_changes_nothing_more(counter: Counter) -> None:
    await counter.group()

    first = await send(counter, MOODLE, issue_keys=True)
    again = await send(counter, MOODLE, issue_keys=True)

    assert first.status == again.status == 201
    assert [one["name"] for one in first.json["data"]] == ["Ada Lovelace", "Charles Babbage"]
    assert all(one["key"].startswith("sk-tuck-") for one in first.json["data"])
    assert not any("key" in one for one in again.json["data"])
    assert [one["id"] for one in again.json["data"]] == [one["id"] for one in first.json["data"]]
    assert {row["action"] for row in (await preview(counter, MOODLE))["rows"]} == {"unchanged"}


async def test_what_was_done_is_counted_and_a_new_name_told_beside_the_old_one(
    counter: Counter,
) -> None:
    await counter.group()
    gone = await counter.member(external_id="3", name="Zoe")
    await counter.admin.delete(f"/api/v1/members/{gone['id']}")
    await send(counter, "id,name\n1,Ada Byron\n2,Bob\n")

    taken = (
        await send(counter, "id,name\n1,Ada Lovelace\n2,Bob\n3,Zoe\n4,Dee\n", as_new=True)
    ).json

    assert taken["counts"] == {"changed": 1, "unchanged": 1, "revived": 1, "new": 1}
    ada, zoe = taken["changed"]
    assert (ada["before"], ada["after"]) == ({"name": "Ada Byron"}, {"name": "Ada Lovelace"})
    assert (zoe["external_id"], zoe["action"], zoe["before"]) == ("3", "revived", {})


async def test_a_bad_row_names_its_person(counter: Counter) -> None:
    await counter.group()

    (error,) = (await send(counter, "id,name,email\n4711,Ada,nobody\n")).json["errors"]

    assert (error["line"], error["field"]) == (2, "email")
    assert error["message"].endswith("(the row of 4711, Ada)")


async def test_leavers_are_told_and_paused_only_when_asked(counter: Counter) -> None:
    await counter.group()
    await send(counter, MOODLE)
    ada = MOODLE.rsplit("\n", 2)[0] + "\n"

    told = await send(counter, ada)
    assert [(one["external_id"], one["state"]) for one in told.json["missing"]] == [
        ("4712", "active")
    ]
    paused = await send(counter, ada, pause_missing=True)

    assert [one["state"] for one in paused.json["missing"]] == ["paused"]
    assert await states(counter) == {"4711": "active", "4712": "paused"}


async def test_nobody_is_paused_while_a_line_cannot_be_read(counter: Counter) -> None:
    """The line may be theirs."""
    await counter.group()
    await send(counter, MOODLE)

    answer = await send(counter, "id,name\n4711,Ada\n,Charles\n", pause_missing=True)

    assert answer.status == 409
    assert "line 3" in answer.json["detail"]
    assert await states(counter) == {"4711": "active", "4712": "active"}


async def test_an_archived_member_comes_back_with_what_was_spent(counter: Counter) -> None:
    """M14: a re-import is no fresh budget."""
    await counter.group()
    before = (await send(counter, MOODLE)).json["data"][0]
    await counter.admin.delete(f"/api/v1/members/{before['id']}")
    told = await preview(counter, MOODLE)

    back = (await send(counter, MOODLE)).json["data"][0]

    assert [row["action"] for row in told["rows"]] == ["revived", "unchanged"]
    assert (back["id"], back["state"]) == (before["id"], "active")


@pytest.mark.parametrize(
    ("known", "sent"), [("0042", "42"), ("42", "0042"), ("S0042", "s0042"), ("s0042", "S0042 ")]
)
async def test_ids_that_a_spreadsheet_respelled_stop_and_ask(
    counter: Counter, known: str, sent: str
) -> None:
    """M14: a respelled id must never be a fresh budget."""
    await counter.group()
    await counter.member(external_id=known)
    text = f"id,name\n{sent},Ada\n"

    told = await preview(counter, text)
    asked = await send(counter, text)

    assert "leading zeros or by case" in told["questions"][0]
    assert asked.status == 409
    assert repr(known) in asked.json["detail"]
    assert "--as-new" in asked.json["detail"]
    assert await states(counter) == {known: "active"}
    assert (await send(counter, text, as_new=True)).status == 201
    assert len(await states(counter)) == 2


async def test_two_spellings_in_one_file_stop_and_ask_too(counter: Counter) -> None:
    await counter.group()

    asked = await send(counter, "id\n0042\n42\n")

    assert asked.status == 409
    assert await states(counter) == {}


async def test_a_file_that_is_mostly_new_to_a_group_of_others_stops_and_asks(
    counter: Counter,
) -> None:
    await counter.group()
    await send(counter, MOODLE)
    others = "id\n" + "".join(f"b{n}\n" for n in range(5))

    asked = await send(counter, others)

    assert asked.status == 409
    assert "5 of 5 lines are new" in asked.json["detail"]
    late = await send(counter, MOODLE + "Grace,Hopper,4713,,\nAlan,Turing,4714,,\n")
    assert late.status == 201, "a late enrolment is nothing to ask about"
    assert (await send(counter, others, as_new=True)).status == 201


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"PK\x03\x04", "workbook"), (b"", "empty"), (b"a,b\n1,2\n", "who a person is")],
)
async def test_a_file_that_cannot_be_read_is_told_why(
    counter: Counter, raw: bytes, said: str
) -> None:
    await counter.group()

    for where in ("", "/preview"):
        answer = await counter.admin.send(
            "POST",
            f"/api/v1/groups/swa/members{where}",
            raw=raw,
            headers={"content-type": "text/csv"},
        )
        assert answer.status == 422, answer.body
        assert said in answer.json["errors"][0]["message"]


async def test_what_is_for_files_is_refused_with_json(counter: Counter) -> None:
    await counter.group()

    answer = await counter.admin.post(
        "/api/v1/groups/swa/members", {"external_id": "1"}, pause_missing="true"
    )

    assert answer.status == 422
    assert await states(counter) == {}
