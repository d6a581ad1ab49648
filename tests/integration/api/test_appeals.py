"""Appeals by the admin API: links, what they show, what is said by them, and who reads it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from tests.integration.api.conftest import PUBLIC_URL, Counter
from tests.integration.api.test_flags import resolve, said_by, told
from tests.support.asgi_client import Answer, AsgiClient
from tuckshop.storage.schema import appeals

pytestmark = pytest.mark.anyio

WORDS = "It was a quotation\nfrom the lecture."
OURS = {"sec-fetch-site": "same-origin"}


async def new_link(counter: Counter, member: dict[str, Any]) -> str:
    """The secret of a link of *member*."""
    made = await counter.admin.post(f"/api/v1/members/{member['id']}/appeal-links")
    assert made.status == 201, made.body
    address, _, secret = made.json["url"].partition("#")
    assert address == f"{PUBLIC_URL}/appeal/"
    return str(secret)


async def look(counter: Counter, secret: str) -> Answer:
    return await AsgiClient(counter.app).send(
        "POST", "/api/v1/appeal/flags", body={"secret": secret}, headers=OURS
    )


async def send(counter: Counter, secret: str, reason: str = WORDS) -> Answer:
    return await AsgiClient(counter.app).send(
        "POST", "/api/v1/appeal", body={"secret": secret, "reason": reason}, headers=OURS
    )


async def detail(counter: Counter, flag: dict[str, Any]) -> dict[str, Any]:
    shown = await counter.admin.get(f"/api/v1/moderation/flags/{flag['id']}")
    found: dict[str, Any] = shown.json
    return found


async def test_a_link_shows_its_member_their_own_flags_and_takes_their_words_once(
    counter: Counter,
) -> None:
    """Section 12, K5: also while they are paused; what is said stands with the flag, and somebody is told."""
    said, member, _ = await said_by(
        counter, title="Architecture", strikes={"count": 2, "pause": "member"}
    )
    await counter.admin.patch(f"/api/v1/members/{member['id']}", {"name": "Ada"})
    other = await counter.member(external_id="4712")
    await said("of another", member_id=other["id"])
    first, second = await said("one"), await said("two")
    secret = await new_link(counter, member)

    shown = await look(counter, secret)
    sent = await send(counter, secret)
    again = await send(counter, secret)

    assert shown.status == 200, shown.body
    assert shown.json["course"] == "Architecture"
    assert shown.json["name"] == "Ada"
    assert shown.json["paused"] is True
    assert [flag["at"] for flag in shown.json["data"]] == [second["at"], first["at"]]
    assert shown.json["data"][0] == {
        "at": second["at"],
        "last_at": second["at"],
        "repeats": 1,
        "source": "moderation",
        "action": "blocked",
        "reasons": ["violence"],
        "state": "open",
    }
    assert sent.status == 200, sent.body
    assert (again.status, (await look(counter, secret)).status) == (410, 410)
    for flag in (first, second):
        found = await detail(counter, flag)
        assert found["appealed_at"] == sent.json["at"]
        assert found["appeals"] == [
            {"at": sent.json["at"], "by": f"member:{member['id']}", "reason": WORDS}
        ]
    (notice,) = await told(counter, "appeal")
    assert notice["member_id"] == member["id"]
    trail = (await counter.admin.get("/api/v1/audit", action="appeal")).json["data"]
    assert [(row["action"], row["actor"], row["object"]) for row in trail] == [
        ("appeal.send", f"member:{member['id']}", member["id"]),
        ("appeal.link", "operator", member["id"]),
    ]


async def test_what_is_said_is_closed_with_the_members_key(counter: Counter) -> None:
    """P4, K1: neither the words nor the link's secret stand in the ledger; without the key nobody reads them."""
    said, member, _ = await said_by(counter)
    flag = await said("one")
    secret = await new_link(counter, member)
    await send(counter, secret)
    await resolve(counter, flag, reason="a quotation, as was said")

    with counter.database.reader() as connection:
        (row,) = connection.execute(select(appeals)).all()
    assert WORDS.encode() not in row.reason
    assert secret.encode() not in row.digest
    for file in counter.database.path.parent.iterdir():
        content = file.read_bytes()
        assert b"quotation" not in content, file
        assert secret.encode() not in content, file
    counter.person_keys.destroy([member["id"]])
    found = await detail(counter, flag)
    assert [one["reason"] for one in found["appeals"]] == ["(erased)"]
    assert found["reason"] == "(erased)"
    assert (await counter.admin.post(
        f"/api/v1/moderation/flags/{flag['id']}/appeal", {"reason": WORDS}
    )).status == 410  # fmt: skip


async def test_staff_write_down_what_a_member_says(counter: Counter) -> None:
    said, member, _ = await said_by(counter)
    flag, other = await said("one"), await said("two")
    path = f"/api/v1/moderation/flags/{flag['id']}/appeal"
    assistant = await counter.staff("assistant")

    answer = await assistant.post(path, {"reason": f"  {WORDS}\r\n"})

    assert answer.status == 200, answer.body
    (one,) = answer.json["appeals"]
    assert one["reason"] == WORDS
    assert one["by"].startswith("token:tok_")
    assert (await detail(counter, other))["appeals"] == []
    assert (await detail(counter, other))["appealed_at"] is None
    assert len(await told(counter, "appeal")) == 1
    assert member["id"] == answer.json["member"]


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 2_001, "a\x00b", "a\x1bb"])
async def test_what_cannot_be_read_is_not_taken_and_the_link_stays_good(
    counter: Counter, reason: str
) -> None:
    """K13: at most 2,000 characters, and none that a terminal would obey."""
    said, member, _ = await said_by(counter)
    await said("one")
    secret = await new_link(counter, member)

    refused = await send(counter, secret, reason)

    assert refused.status == 422
    assert [error["field"] for error in refused.json["errors"]] == ["reason"]
    assert (await send(counter, secret, "x" * 2_000)).status == 200


async def test_a_link_opens_for_14_days_and_not_beside_a_newer_one(counter: Counter) -> None:
    """K1: what opens nothing writes nothing (K15)."""
    said, member, _ = await said_by(counter)
    await said("one")
    old, new = await new_link(counter, member), await new_link(counter, member)
    rows = len((await counter.admin.get("/api/v1/audit")).json["data"])

    assert (await look(counter, old)).status == (await send(counter, old)).status == 410
    assert "newer" in (await look(counter, old)).json["detail"]
    for unknown in ("x", "A" * 43):
        assert (await send(counter, unknown)).status == 404
    counter.clock.advance(14 * 86_400)
    assert (await send(counter, new)).status == 410
    assert "14 days" in (await look(counter, new)).json["detail"]
    assert len((await counter.admin.get("/api/v1/audit")).json["data"]) == rows


async def test_there_is_no_link_where_nothing_was_flagged(counter: Counter) -> None:
    _, member, _ = await said_by(counter)

    refused = await counter.admin.post(f"/api/v1/members/{member['id']}/appeal-links")

    assert refused.status == 409
    assert "nothing to appeal" in refused.json["detail"]


async def test_an_appeal_is_sent_by_our_own_page_alone(counter: Counter) -> None:
    """K12."""
    said, member, _ = await said_by(counter)
    await said("one")
    secret = await new_link(counter, member)

    for path, body in (("appeal", {"reason": WORDS}), ("appeal/flags", {})):
        answer = await AsgiClient(counter.app).send(
            "POST",
            f"/api/v1/{path}",
            body={"secret": secret, **body},
            headers={"sec-fetch-site": "cross-site"},
        )
        assert answer.status == 403

    assert (await send(counter, secret)).status == 200


async def test_many_sendings_at_once_are_one(counter: Counter) -> None:
    said, member, _ = await said_by(counter)
    flag = await said("one")
    secret = await new_link(counter, member)

    answers = await asyncio.gather(*(send(counter, secret, str(n)) for n in range(20)))

    assert sorted(answer.status for answer in answers) == [200] + [410] * 19
    assert len((await detail(counter, flag))["appeals"]) == 1
