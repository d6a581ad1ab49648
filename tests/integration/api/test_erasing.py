"""Erasing people: what goes, what stays, and who comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from tests.integration.api.conftest import Counter
from tests.integration.api.test_corrections import BOUND, Caller, check
from tests.integration.api.test_flags import Said, resolve, told
from tests.support.ledger_kit import Person, hold, settlement
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.errors import ConflictError
from tuckshop.domain.reservation import Outcome
from tuckshop.services.erasing.recovery import finish_erasures
from tuckshop.services.shapes.erasing import MemberErasure
from tuckshop.storage.erasures import ErasureList
from tuckshop.storage.schema import deliveries

pytestmark = pytest.mark.anyio

ID = "canary-4711-external"
NAME = "Canaria Canarisdottir"
EMAIL = "canary@mail.example"
TAG = "canary-tag-of-hers"
CALL_ID = "canary-at-the-provider"
WHY = "canary grant, since she was ill"
CANARIES = (ID, NAME, EMAIL, TAG, CALL_ID, "canary")


async def lived(counter: Counter, group: str = "swa") -> Caller:
    """Somebody with a name, a key, a grant, a link and calls."""
    made = await counter.group(name=group, each=["$5/month"])
    member = await counter.member(group, external_id=ID, name=NAME, email=EMAIL)
    key = await counter.key(member["id"], name=f"{NAME}'s laptop", tags=["canary-tag"])
    one = Caller(counter, Person(key["id"], member["id"], made["id"]))
    for path, body in (
        ("grants", {"amount_usd": 0.5, "reason": WHY}),
        ("claim-links", None),
    ):
        answer = await counter.admin.post(f"/api/v1/members/{member['id']}/{path}", body)
        assert answer.status == 201, answer.body
    for _ in range(3):
        await tagged_call(one)
    await counter.ledger.flush()
    return one


async def tagged_call(one: Caller, *, ends: bool = True) -> str:
    version = await one.counter.writer.transact(lambda t: t.directory_version())
    asked = replace(hold(one.limit, person=one.person, version=version), tag=TAG)
    granted = await one.counter.ledger.reserve(asked)
    if ends:
        end(one, granted.request_id)
    return granted.request_id


def end(one: Caller, request_id: str) -> None:
    outcome = Outcome(http_status=200, upstream_request_id=CALL_ID)
    ended = replace(settlement(request_id, BOUND), outcome=outcome)
    one.counter.ledger.settle(ended)


async def erase(counter: Counter, member_id: str, *, status: int = 200, **more: Any) -> Any:
    answer = await counter.admin.post(
        f"/api/v1/erase/members/{member_id}", {"reason": "asked for by letter", **more}
    )
    assert answer.status == status, answer.body
    return answer.json


def found_on_the_disk(folder: Path) -> list[str]:
    """Which canaries some file of the data folder holds: database, log, free pages, keys, list."""
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return [word for word in CANARIES if word.encode() in content]


async def test_nothing_of_a_person_is_left_on_the_disk(counter: Counter) -> None:
    """P4: names, addresses, tags, reasons and ids at the provider are in no file, no log and no free page."""
    one = await lived(counter)
    folder = counter.database.path.parent
    assert set(found_on_the_disk(folder)) >= {ID, NAME, EMAIL, TAG, CALL_ID}

    report = await erase(counter, one.person.member)

    assert (report["keys"], report["claims"], report["requests"]) == (1, 1, 3)
    assert (report["running"], report["left"], report["dry_run"]) == (0, 0, False)
    assert report["copies"] == []
    assert found_on_the_disk(folder) == []
    member = (await counter.admin.get(f"/api/v1/members/{one.person.member}")).json
    assert (member["external_id"], member["name"], member["email"]) == ("(erased)", None, None)
    assert member["state"] == "archived"
    key = (await counter.admin.get(f"/api/v1/keys/{one.person.key}")).json
    assert (key["name"], key["tags"], key["last4"], key["state"]) == (None, [], "", "archived")


async def test_flags_lose_their_words_and_nobody_is_told_of_them_any_more(
    counter: Counter,
) -> None:
    """P4: reasons in words, appeals, and notices of what the person did."""
    group = await counter.group()
    member = await counter.member(group["name"], external_id=ID, name=NAME, email=EMAIL)
    said = Said(counter, group, member, await counter.key(member["id"]))
    hook = {"url": "https://hooks.example/tuckshop"}
    assert (await counter.admin.post("/api/v1/webhooks", hook)).status == 201
    flag = await said("how to hurt somebody")
    appeal = {"reason": f"{NAME} says it was an exercise"}
    path = f"/api/v1/moderation/flags/{flag['id']}/appeal"
    assert (await counter.admin.post(path, appeal)).status in (200, 201)
    resolved = await resolve(counter, flag, reason=f"{NAME} explained it")
    assert resolved.status == 200
    assert resolved.json["reason"] == f"{NAME} explained it"
    assert await told(counter, "flag")

    report = await erase(counter, member["id"])

    assert report["flags"] == 1
    shown = (await counter.admin.get(f"/api/v1/moderation/flags/{flag['id']}")).json
    assert (shown["reason"], shown["appeals"], shown["appealed_at"]) == (None, [], None)
    assert shown["reasons"] == ["violence"]
    assert await told(counter, "flag") == []
    with counter.database.reader() as connection:
        assert connection.execute(select(deliveries)).all() == []
    assert found_on_the_disk(counter.database.path.parent) == []


async def test_sums_stay_and_no_money_moves(counter: Counter) -> None:
    """P4, M8, M14: what was spent stands in counters, usage and the log; everything adds up."""
    one = await lived(counter)
    before = (await counter.admin.get("/api/v1/usage", by="member,model")).json
    used = await one.used_nano()

    await erase(counter, one.person.member)

    assert (await counter.admin.get("/api/v1/usage", by="member,model")).json == before
    assert await one.used_nano() == used == 3 * BOUND.cost_nano
    log = (await counter.admin.get("/api/v1/requests")).json["data"]
    assert [row["cost_usd"] for row in log] == [log[0]["cost_usd"]] * 3
    assert {(row["tag"], row["upstream_request_id"]) for row in log} == {(None, None)}
    check(counter)


async def test_the_chain_of_the_audit_trail_stays_whole(counter: Counter) -> None:
    """P8, K16: it tells that somebody was erased and why, and of the words about them that they are."""
    one = await lived(counter)

    await erase(counter, one.person.member)

    assert (await counter.admin.post("/api/v1/audit/verify")).json["first_broken"] is None
    rows = (await counter.admin.get("/api/v1/audit")).json["data"]
    (erased,) = [row for row in rows if row["action"] == "member.erase"]
    assert erased["after"] == {"keys": 1, "reason": "asked for by letter", "requests": 3}
    (grant,) = [row for row in rows if row["action"] == "member.grant"]
    assert grant["after"]["reason"] == "(erased)"


async def test_a_person_is_erased_in_all_groups_that_the_actor_sees(counter: Counter) -> None:
    """P11, K5: the operator reaches all of them; an owner of one group that one, and learns of no other."""
    first = await lived(counter, "swa")
    second = await lived(counter, "algo")
    owner = await counter.staff("owner", "swa")

    answer = await owner.post(f"/api/v1/erase/members/{first.person.member}", {"reason": "asked"})
    assert [row["member"] for row in answer.json["data"]] == [first.person.member]
    foreign = await owner.post(f"/api/v1/erase/members/{second.person.member}", {"reason": "asked"})
    assert foreign.status == 404
    there = (await counter.admin.get(f"/api/v1/members/{second.person.member}")).json
    assert there["name"] == NAME

    third = await counter.group(name="third")
    member = await counter.member("third", external_id=ID.upper())
    fourth = await counter.member("third", external_id=ID, name=NAME)
    report = await erase(counter, fourth["id"])
    assert {row["member"] for row in report["data"]} == {fourth["id"], second.person.member}
    assert {row["group"] for row in report["data"]} == {third["id"], second.person.group}
    assert (await counter.admin.get(f"/api/v1/members/{member['id']}")).json["state"] == "active"


async def test_a_dry_run_counts_and_changes_nothing(counter: Counter) -> None:
    one = await lived(counter)

    copy = counter.database.path.with_name(f"{counter.database.path.name}.before-0004")
    copy.touch()

    told = await erase(counter, one.person.member, dry_run=True)

    assert told["copies"] == [copy.name]
    assert (told["dry_run"], told["keys"], told["claims"], told["requests"]) == (True, 1, 1, 3)
    member = (await counter.admin.get(f"/api/v1/members/{one.person.member}")).json
    assert member["name"] == NAME
    assert not ErasureList.beside(counter.database.path).path.exists()


@pytest.mark.parametrize("reason", ["", "  ", f"{NAME} asked", f"letter of {ID}", EMAIL.upper()])
async def test_the_reason_stays_so_it_does_not_name_the_person(
    counter: Counter, reason: str
) -> None:
    """P8."""
    one = await lived(counter)

    refused = await erase(counter, one.person.member, reason=reason, status=422)

    assert refused["errors"][0]["field"] == "reason"
    assert "Canaria" not in json.dumps(refused)


async def test_erasing_again_changes_nothing(counter: Counter) -> None:
    """P4: every step may be repeated."""
    one = await lived(counter)
    await erase(counter, one.person.member)
    before = (await counter.admin.get(f"/api/v1/members/{one.person.member}")).json

    await erase(counter, one.person.member)

    assert (await counter.admin.get(f"/api/v1/members/{one.person.member}")).json == before
    check(counter)


async def test_who_was_erased_is_not_revived_by_hand(counter: Counter) -> None:
    """P11: neither resumed nor renamed; one who comes back is added to the group."""
    one = await lived(counter)
    await erase(counter, one.person.member)
    path = f"/api/v1/members/{one.person.member}"

    assert (await counter.admin.post(f"{path}/resume")).status == 409
    assert (await counter.admin.patch(path, {"name": "Somebody"})).status == 409
    assert (await counter.admin.post(f"{path}/keys", {})).status == 409
    bulk = await counter.admin.post(
        "/api/v1/members/bulk", {"action": "resume", "filter": {"members": [one.person.member]}}
    )
    assert [row["result"] for row in bulk.json["data"]] == ["skipped"]
    other = await counter.member(external_id="another")
    taken = await counter.admin.patch(f"/api/v1/members/{other['id']}", {"external_id": ID})
    assert taken.status == 409


async def test_who_comes_back_meets_what_they_spent(counter: Counter) -> None:
    """P11, M14: the same external id in the same group; what was closed before stays closed."""
    one = await lived(counter)
    sealed = counter.person_keys.seal(one.person.member, b"before", place="here")
    await erase(counter, one.person.member)

    back = await counter.member(external_id=f"  {ID} ", name="Back Again")

    assert back["id"] == one.person.member
    assert (back["state"], back["name"]) == ("active", "Back Again")
    (month,) = [limit for limit in back["in_force"] if limit["limit"] == "$5/month"]
    assert month["used"] * 10**9 == 3 * BOUND.cost_nano
    with pytest.raises(Exception, match="sealed"):
        counter.person_keys.open(one.person.member, sealed, place="here")
    assert counter.person_keys.seal(one.person.member, b"after", place="here")
    rows = (await counter.admin.get("/api/v1/audit", action="member.return")).json["data"]
    assert [row["object"] for row in rows] == [one.person.member]
    other_group = await counter.group(name="algo")
    elsewhere = await counter.member("algo", external_id=ID)
    assert elsewhere["id"] != one.person.member
    assert elsewhere["group"] == other_group["id"]
    check(counter)


async def test_a_call_that_runs_is_erased_when_it_ends(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: what it leaves in the log goes too, and only then the list says that it is done."""
    from tuckshop.services.erasing import erasing

    monkeypatch.setattr(erasing, "CALLS_END_WITHIN_S", 0.0)
    monkeypatch.setattr(erasing, "LOOK_AGAIN_S", 0.02)
    one = await lived(counter)
    running = await tagged_call(one, ends=False)

    report = await erase(counter, one.person.member)
    assert report["running"] == 1
    listed = ErasureList.beside(counter.database.path)
    assert [entry.is_done for entry in listed.read()] == [False]

    end(one, running)
    await counter.ledger.flush()
    (task,) = counter.services.erasing._tasks
    await task
    assert [entry.is_done for entry in listed.read()] == [True]
    assert found_on_the_disk(counter.database.path.parent) == []


async def test_what_must_be_kept_is_not_erased(counter: Counter) -> None:
    """P2, P4: a legal hold on the member or the group stops it before anything is done."""
    one = await lived(counter)
    for whose in ({"member": one.person.member}, {"group": "swa"}):
        hold_ = await counter.admin.post("/api/v1/holds", {**whose, "reason": "a court asked"})
        assert hold_.status == 201, hold_.body

        refused = await erase(counter, one.person.member, status=409)

        assert "legal hold" in refused["detail"]
        assert not ErasureList.beside(counter.database.path).path.exists()
        path = f"/api/v1/holds/{hold_.json['id']}/release"
        assert (await counter.admin.post(path, {"reason": "it is over"})).status == 200
    assert (await erase(counter, one.person.member))["keys"] == 1


async def test_a_group_ends_without_a_trace(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P11: some at a time; afterwards nobody who comes back is known."""
    from tuckshop.services.erasing import erasing

    monkeypatch.setattr(erasing, "MEMBERS_PER_CALL", 2)
    one = await lived(counter)
    await erase(counter, one.person.member)
    for number in range(4):
        await counter.member(external_id=f"canary-{number}", name=NAME)
    path, body = "/api/v1/erase/groups/swa", {"reason": "the term is over", "confirm": "swa"}

    told = (await counter.admin.post(path, {"reason": "x", "dry_run": True})).json
    assert (told["dry_run"], len(told["data"])) == (True, 5)
    assert (await counter.admin.post(path, body)).status == 409  # not archived
    assert (await counter.admin.delete("/api/v1/groups/swa")).status == 200
    assert (await counter.admin.post(path, {"reason": "x"})).status == 422  # not confirmed
    assert (await counter.admin.post(path, {**body, "confirm": "sw"})).status == 422
    left = []
    for _ in range(3):
        answer = await counter.admin.post(path, body)
        assert answer.status == 200, answer.body
        left.append(answer.json["left"])
    assert left == [3, 1, 0]
    assert (await counter.admin.post(path, body)).json["data"] == []
    assert found_on_the_disk(counter.database.path.parent) == []
    assert (await counter.admin.post("/api/v1/groups/swa/resume")).status == 200
    back = await counter.member(external_id=ID)
    assert back["id"] != one.person.member
    check(counter)


async def test_what_was_looked_for_in_a_whole_group_ends_with_it(counter: Counter) -> None:
    """P4, P8, P11: such words name people too. A start keeps it so, and who goes on with the group has a fresh key."""
    made = await counter.group(logging={"bodies": "all", "purpose": "a study"})
    await counter.member(external_id=ID)

    async def look(word: str) -> None:
        asked = {"q": word, "reason": f"looking for {word}", "group": "swa"}
        assert (await counter.admin.post("/api/v1/bodies/search", asked)).status == 200

    async def words() -> list[str]:
        rows = (await counter.admin.get("/api/v1/audit", action="body.search")).json["data"]
        return [row["after"]["query"] for row in rows]

    await look("Canaria")
    assert await words() == ["Canaria"]
    body = {"reason": "the term is over", "confirm": "swa"}
    assert (await counter.admin.delete("/api/v1/groups/swa")).status == 200
    assert (await counter.admin.post("/api/v1/erase/groups/swa", body)).status == 200

    assert await words() == ["(erased)"]
    assert (await counter.admin.post("/api/v1/groups/swa/resume")).status == 200
    await look("something else")
    listed = ErasureList.beside(counter.database.path)
    assert all(one.is_done for one in listed.read())
    await finish_erasures(counter.writer, counter.person_keys, counter.keeper, listed)
    assert await words() == ["something else", "(erased)"]
    assert (await counter.admin.delete("/api/v1/groups/swa")).status == 200
    counter.person_keys.renew(made["id"])  # as from an old copy of the keys
    await finish_erasures(counter.writer, counter.person_keys, counter.keeper, listed)
    assert counter.person_keys.alive([made["id"]]) == set()
    assert (await counter.admin.post("/api/v1/audit/verify")).json["first_broken"] is None


async def test_the_next_start_erases_whoever_is_on_the_list(counter: Counter) -> None:
    """P4, P10: as after a restore, where the ledger has them as they were."""
    one = await lived(counter)
    other = await counter.member(external_id="someone-else", name="Else")
    listed = ErasureList.beside(counter.database.path)
    listed.begin([one.person.member, "mem_of_no_backup"], counter.clock.now_us(), has_ended=False)
    listed.done([one.person.member])

    done = await finish_erasures(counter.writer, counter.person_keys, counter.keeper, listed)

    assert set(done) == {one.person.member, "mem_of_no_backup"}
    assert found_on_the_disk(counter.database.path.parent) == []
    assert await finish_erasures(counter.writer, counter.person_keys, counter.keeper, listed) == []
    assert (await counter.admin.get(f"/api/v1/members/{other['id']}")).json["name"] == "Else"
    check(counter)


async def test_the_next_start_leaves_alone_who_came_back(counter: Counter) -> None:
    """P11: and mends keys that came from a backup."""
    one = await lived(counter)
    await erase(counter, one.person.member)
    back = await counter.member(external_id=ID, name="Back")
    counter.person_keys.destroy([back["id"]])

    listed = ErasureList.beside(counter.database.path)
    assert await finish_erasures(counter.writer, counter.person_keys, counter.keeper, listed) == []

    assert counter.person_keys.alive([back["id"]]) == {back["id"]}
    assert (await counter.admin.get(f"/api/v1/members/{back['id']}")).json["name"] == "Back"


async def test_a_key_that_came_back_for_one_who_is_erased_is_destroyed_again(
    counter: Counter,
) -> None:
    """P4, P10."""
    one = await lived(counter)
    await erase(counter, one.person.member)
    counter.person_keys.renew(one.person.member)

    listed = ErasureList.beside(counter.database.path)
    await finish_erasures(counter.writer, counter.person_keys, counter.keeper, listed)

    assert counter.person_keys.alive([one.person.member]) == set()


async def test_two_at_once_are_one_after_the_other(counter: Counter) -> None:
    one = await lived(counter)
    wish = MemberErasure(reason="asked")

    import asyncio

    first, second = await asyncio.gather(
        counter.services.erasing.erase_member(OPERATOR, one.person.member, wish),
        counter.services.erasing.erase_member(OPERATOR, one.person.member, wish),
    )

    assert (first.keys, second.keys) == (1, 1)
    with pytest.raises(ConflictError):
        await counter.services.members.set_state(OPERATOR, one.person.member, "active")


async def test_who_comes_back_before_all_is_done_keeps_what_is_new(counter: Counter) -> None:
    """P2, P4, P11: what is left of the erasure takes neither their fresh key nor their new bodies."""
    one = await lived(counter)
    members = [one.person.member]
    await erase(counter, one.person.member)
    back = {"external_id": ID, "name": NAME, "email": EMAIL}
    assert (await counter.admin.post("/api/v1/groups/swa/members", back)).status == 201
    sealed = counter.person_keys.seal(members[0], b"new", place="a")

    erasing = counter.services.erasing
    assert await erasing._cleaning.clean(members)

    assert counter.person_keys.open(members[0], sealed, place="a") == b"new"


async def test_who_is_hidden_is_erased_in_all_groups_too(counter: Counter) -> None:
    """P4, P11: by who they are, not by their pseudonyms; and the reason is held to their name."""
    ids = []
    for name in ("swa", "lab"):
        await counter.group(name=name, pseudonyms=True)
        taken = await counter.admin.post(
            f"/api/v1/groups/{name}/members", {"external_id": ID, "name": NAME}
        )
        assert taken.status == 201, taken.body
        page = (await counter.admin.get(f"/api/v1/groups/{name}/members")).json["data"]
        ids += [row["id"] for row in page]

    named = await counter.admin.post(
        f"/api/v1/erase/members/{ids[0]}", {"reason": f"{NAME} asked for it"}
    )
    assert named.status == 422, named.body
    path = "/api/v1/audit"
    opened = (await counter.admin.get(path, action="member.identity")).json["data"]
    assert {row["object"] for row in opened} == set(ids)  # a refusal tells who they are, too
    await erase(counter, ids[0], dry_run=True)
    assert len((await counter.admin.get(path, action="member.identity")).json["data"]) == 4
    report = await erase(counter, ids[0])

    assert [one["member"] for one in report["data"]] == ids
    assert found_on_the_disk(counter.database.path.parent) == []
