"""Texts about a person in the audit trail."""

from __future__ import annotations

import pytest

from tests.integration.api.conftest import Counter

pytestmark = pytest.mark.anyio
WHY = "ill since Monday, says Anna's doctor"


async def granted(counter: Counter) -> str:
    _, member, _ = await counter.chain(each=["$1/month"])
    answer = await counter.admin.post(
        f"/api/v1/members/{member['id']}/grants", {"amount_usd": 0.5, "reason": WHY}
    )
    assert answer.status == 201, answer.body
    return str(member["id"])


async def reasons(counter: Counter) -> list[object]:
    rows = (await counter.admin.get("/api/v1/audit", action="member.grant")).json["data"]
    return [row["after"]["reason"] for row in rows]


async def test_a_reason_is_closed_with_the_persons_key_and_shown_open(counter: Counter) -> None:
    """P8: the row holds ciphertext; staff read the words."""
    await granted(counter)

    assert await reasons(counter) == [WHY]
    with counter.database.reader() as connection:
        rows = connection.exec_driver_sql("SELECT coalesce(after, '') FROM audit").scalars().all()
    assert not any("doctor" in row for row in rows)


async def test_the_chain_stays_whole_when_the_key_is_destroyed(counter: Counter) -> None:
    """P8, K16: the words are gone, the trail still proves itself."""
    member_id = await granted(counter)

    counter.person_keys.destroy([member_id])

    assert await reasons(counter) == ["(erased)"]
    check = (await counter.admin.post("/api/v1/audit/verify")).json
    assert check["first_broken"] is None


async def test_what_is_done_late_about_an_erased_person_is_told_without_words(
    counter: Counter,
) -> None:
    """P4, P8: nothing about them is closed with a new key."""
    _, member, _ = await counter.chain(each=["$1/month"])
    counter.person_keys.destroy([member["id"]])

    answer = await counter.admin.post(
        f"/api/v1/members/{member['id']}/grants", {"amount_usd": 0.5, "reason": WHY}
    )

    assert answer.status == 201, answer.body
    assert await reasons(counter) == ["(erased)"]


async def test_a_grant_without_a_reason_makes_nobody_a_key(counter: Counter) -> None:
    _, member, _ = await counter.chain(each=["$1/month"])
    await counter.admin.post(f"/api/v1/members/{member['id']}/grants", {"amount_usd": 0.5})

    assert await reasons(counter) == [None]
    assert counter.person_keys.alive([member["id"]]) == set()
