"""Whose pseudonym it is, by the admin API (K10, P3)."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.integration.api.conftest import Counter, pseudonym_of
from tests.support.asgi_client import Answer, AsgiClient
from tuckshop.domain.actor import OPERATOR, Actor
from tuckshop.domain.records import Member
from tuckshop.services.shapes.who import Asked
from tuckshop.services.who import Who

pytestmark = pytest.mark.anyio


async def ask(client: AsgiClient, pseudonym: str, reason: str = "a warning") -> Answer:
    return await client.post("/api/v1/who", {"pseudonym": pseudonym, "reason": reason})


async def told(counter: Counter) -> list[dict[str, Any]]:
    trail = await counter.admin.get("/api/v1/audit", action="member.identify")
    found: list[dict[str, Any]] = trail.json["data"]
    return found


async def test_a_pseudonym_leads_to_its_member_and_leaves_a_row_with_the_reason(
    counter: Counter,
) -> None:
    """K16: also where the member is archived."""
    group = await counter.group()
    member = await counter.member(name="Ada Lovelace", email="ada@example.org")
    await counter.member(external_id="4712")
    await counter.admin.delete(f"/api/v1/members/{member['id']}")

    answer = await ask(counter.admin, f" {pseudonym_of(member['id']).upper()}\n")

    assert answer.status == 200, answer.body
    assert answer.json == {
        "member": member["id"],
        "group": group["id"],
        "group_name": "swa",
        "external_id": "4711",
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "state": "archived",
    }
    (row,) = await told(counter)
    assert (row["object"], row["actor"]) == (member["id"], "operator")
    assert (row["before"], row["after"]) == (None, {"reason": "a warning"})


async def test_a_pseudonym_of_another_group_is_as_unknown_as_any_text(counter: Counter) -> None:
    """K5: and nobody is told who asked for what there is not."""
    await counter.group(name="own")
    await counter.group(name="alien")
    stranger = await counter.member("alien")
    owner = await counter.staff("owner", "own")

    foreign = await ask(owner, pseudonym_of(stranger["id"]))
    unknown = await ask(owner, "0" * 64)

    assert foreign.status == unknown.status == 404
    assert foreign.body == unknown.body
    assert not await told(counter)


@pytest.mark.parametrize("role", ["viewer", "assistant"])
async def test_only_owners_ask(counter: Counter, role: str) -> None:
    """P3: the table between pseudonyms and persons is read by fewer."""
    await counter.group()
    member = await counter.member()
    client = await counter.staff(role)

    answer = await ask(client, pseudonym_of(member["id"]))

    assert answer.status == 403
    assert not await told(counter)


@pytest.mark.parametrize(
    ("pseudonym", "reason", "field"),
    [
        ("0" * 63, "a warning", "pseudonym"),
        ("mem_1", "a warning", "pseudonym"),
        ("0" * 64, " ", "reason"),
    ],
)
async def test_what_is_no_pseudonym_or_has_no_reason_is_refused(
    counter: Counter, pseudonym: str, reason: str, field: str
) -> None:
    """K16."""
    answer = await ask(counter.admin, pseudonym, reason)

    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


class _Class:
    """A directory of ten thousand."""

    def __init__(self) -> None:
        self._all = [replace(MEMBER, id=f"mem_{number:05}") for number in range(10_000)]

    def members(self, actor: Actor) -> list[Member]:
        return self._all

    def member(self, member_id: str, actor: Actor) -> Member:
        return self._all[int(member_id.removeprefix("mem_"))]

    def group_of(self, member: Member) -> Any:
        return SimpleNamespace(id="grp_1", name="swa")


class _Nothing:
    """Writes nothing down."""

    async def make(self, actor: Actor, work: object) -> None: ...

    def ensure(self, member_ids: object) -> None: ...


async def test_ten_thousand_members_are_gone_through_beside_the_loop() -> None:
    """K10: at once, and nobody else waits for it."""
    threads = set()

    def made(member_id: str) -> str:
        threads.add(threading.get_ident())
        return pseudonym_of(member_id)

    who = Who(_Nothing(), _Class(), _Nothing(), made)  # type: ignore[arg-type]  # fakes
    asked = Asked(pseudonym=pseudonym_of("mem_09999"), reason="a warning")
    began_s = asyncio.get_running_loop().time()

    found = await who.find(OPERATOR, asked)

    assert found.member == "mem_09999"
    assert asyncio.get_running_loop().time() - began_s < 2
    assert len(threads) == 1
    assert threading.get_ident() not in threads


MEMBER = Member(
    id="mem_1", group_id="grp_1", external_id="4711", name=None, email=None, limits=(), models=None, endpoints=None,
    max_output_tokens=None, state="active",
)  # fmt: skip
