"""Tokens of staff: made, used, ended; nobody gives more than they hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from tests.integration.api.conftest import Counter
from tests.support.asgi_client import AsgiClient
from tuckshop.domain.actor import OPERATOR
from tuckshop.domain.errors import InvalidApiKeyError
from tuckshop.domain.keys import (
    digest_of,
    is_well_formed,
    is_well_formed_for_staff,
    new_staff_secret,
)
from tuckshop.gateway.credential import secret_of
from tuckshop.services.opening import open_directory
from tuckshop.storage.schema import audit, staff_tokens

pytestmark = pytest.mark.anyio

ROLES = ("viewer", "assistant", "owner")


async def test_a_token_is_shown_once_and_kept_as_its_digest(counter: Counter) -> None:
    """K1."""
    await counter.group()
    made = await counter.token("viewer")
    secret = made["token"]

    assert is_well_formed_for_staff(secret)
    assert not is_well_formed(secret)
    assert made["last4"] == secret[-4:]
    shown = (await counter.admin.get(f"/api/v1/tokens/{made['id']}")).json
    listed = (await counter.admin.get("/api/v1/tokens")).json["data"]
    assert "token" not in shown
    assert listed == [shown]
    with counter.database.reader() as connection:
        (row,) = connection.execute(select(staff_tokens)).mappings()
        trail = str(list(connection.execute(select(audit)).mappings()))
    assert row["digest"] == digest_of(secret)
    assert secret not in str(dict(row)) + trail
    assert row["digest"].hex() not in trail


async def test_a_repeat_gives_the_same_token_another_secret(counter: Counter) -> None:
    """M14: the answer that got lost held a secret that nobody has."""
    await counter.group()
    body = {"name": "x", "role": "viewer", "groups": ["swa"]}

    first, again = [
        await counter.admin.send(
            "POST", "/api/v1/tokens", body=body, headers={"idempotency-key": "once"}
        )
        for _ in range(2)
    ]

    assert (first.status, again.status) == (201, 201)
    assert first.json["id"] == again.json["id"]
    assert len((await counter.admin.get("/api/v1/tokens", state="all")).json["data"]) == 1
    for answer, status in ((first, 401), (again, 200)):
        shown = await counter.admin.send("GET", "/api/v1/groups", token=answer.json["token"])
        assert shown.status == status


async def test_revoking_holds_at_the_next_call(counter: Counter) -> None:
    """K3."""
    await counter.group()
    made = await counter.token("viewer")
    viewer = AsgiClient(counter.app, token=made["token"])
    assert (await viewer.get("/api/v1/groups")).status == 200

    gone = await counter.admin.delete(f"/api/v1/tokens/{made['id']}")

    assert (gone.status, gone.json["state"]) == (200, "revoked")
    refused = await viewer.get("/api/v1/groups")
    assert refused.status == 401
    assert "was revoked" in refused.json["detail"]
    assert (await counter.admin.get("/api/v1/tokens")).json["data"] == []
    assert len((await counter.admin.get("/api/v1/tokens", state="revoked")).json["data"]) == 1
    again = await counter.admin.delete(f"/api/v1/tokens/{made['id']}")
    assert again.json["state"] == "revoked"


async def test_a_token_ends_with_its_time(counter: Counter) -> None:
    """K3."""
    await counter.group()
    viewer = await counter.staff("viewer", expires_at="2100-01-01T00:00:00Z")
    assert (await viewer.get("/api/v1/groups")).status == 200

    counter.clock.advance(80 * 366 * 86_400)

    refused = await viewer.get("/api/v1/groups")
    assert (refused.status, "has expired" in refused.json["detail"]) == (401, True)
    assert (await counter.admin.get("/api/v1/tokens", state="expired")).json["data"]


async def test_tokens_are_there_after_a_restart(counter: Counter) -> None:
    await counter.group()
    made = await counter.token("owner")

    again = await open_directory(counter.writer, zone="UTC")

    found = again.find_token(digest_of(made["token"]))
    assert found is not None
    assert found == counter.services.directory.token(made["id"], OPERATOR)


async def test_nobody_makes_a_token_of_more_than_their_own_role(counter: Counter) -> None:
    """K6: and nobody one of the operator's."""
    await counter.group()

    for held in ROLES:
        staff = await counter.staff(held)
        for wanted in ROLES:
            body = {"name": "x", "role": wanted, "groups": ["swa"]}
            answer = await staff.post("/api/v1/tokens", body)
            assert answer.status == (201 if held == "owner" else 403)
    body = {"name": "x", "role": "operator", "groups": ["swa"]}
    assert (await counter.admin.post("/api/v1/tokens", body)).status == 422


async def test_nobody_makes_a_token_for_groups_or_times_beyond_their_own(counter: Counter) -> None:
    """K6, K5."""
    await counter.group()
    await counter.group(name="other")
    owner = await counter.staff("owner", expires_at="2100-01-01T00:00:00Z")

    async def make(**fields: Any) -> Any:
        body = {"name": "x", "role": "viewer", "groups": ["swa"], **fields}
        return await owner.post("/api/v1/tokens", body)

    assert (await make()).json["expires_at"] == "2100-01-01T00:00:00Z"
    assert (await make(expires_at="2099-12-31T00:00:00Z")).status == 201
    for too_long in ("2100-01-01T00:00:01Z", None):
        refused = await make(expires_at=too_long)
        assert refused.status == 403
        assert "2100-01-01T00:00:00Z" in refused.json["detail"]
    foreign, unknown = await make(groups=["swa", "other"]), await make(groups=["swa", "nosuch"])
    assert (foreign.status, unknown.status) == (422, 422)
    assert foreign.body.replace(b"other", b"nosuch") == unknown.body


async def test_an_owner_sees_and_revokes_tokens_of_their_own_groups_alone(counter: Counter) -> None:
    """K5: a token that reaches further too is not there."""
    await counter.group()
    await counter.group(name="other")
    own, both, foreign = [
        await counter.token("viewer", *groups)
        for groups in (("swa",), ("swa", "other"), ("other",))
    ]
    owner = await counter.staff("owner")

    listed = (await owner.get("/api/v1/tokens")).json["data"]

    assert own["id"] in {one["id"] for one in listed}
    assert not {both["id"], foreign["id"]} & {one["id"] for one in listed}
    assert (await owner.delete(f"/api/v1/tokens/{own['id']}")).status == 200
    for hidden in (both, foreign):
        refused = await owner.delete(f"/api/v1/tokens/{hidden['id']}")
        unknown = await owner.delete("/api/v1/tokens/tok_nosuch")
        assert refused.status == unknown.status == 404
        assert refused.body.replace(hidden["id"].encode(), b"tok_nosuch") == unknown.body


async def test_what_cannot_be_taken_makes_no_token(counter: Counter) -> None:
    await counter.group()
    spoilt: list[dict[str, Any]] = [
        {"name": " "},
        {"name": "a\nb"},
        {"role": "admin"},
        {"groups": []},
        {"groups": None},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "tomorrow"},
        {"created_by": "operator"},
        {"state": "active"},
    ]

    for fields in spoilt:
        body = {"name": "x", "role": "viewer", "groups": ["swa"], **fields}
        assert (await counter.admin.post("/api/v1/tokens", body)).status == 422, fields

    assert (await counter.admin.get("/api/v1/tokens", state="all")).json["data"] == []


async def test_the_trail_says_which_token_did_it(counter: Counter) -> None:
    """K16."""
    await counter.group()
    made = await counter.token("assistant")
    assistant = AsgiClient(counter.app, token=made["token"])
    await assistant.post("/api/v1/groups/swa/members", {"external_id": "4711"})

    rows = (await counter.admin.get("/api/v1/audit", action="member.create")).json["data"]

    assert [row["actor"] for row in rows] == [f"token:{made['id']}"]


async def test_a_token_is_no_key_and_a_key_is_no_token(counter: Counter) -> None:
    """K4: a token of staff spends nothing, and a key does nothing of staff."""
    _, _, key = await counter.chain()
    token = (await counter.token("owner"))["token"]

    for header, scheme in ((b"authorization", b"Bearer "), (b"api-key", b""), (b"x-api-key", b"")):
        with pytest.raises(InvalidApiKeyError):
            secret_of([(header, scheme + token.encode())])
    assert counter.services.directory.find(digest_of(token), 0) is None
    assert counter.services.directory.find_token(digest_of(key["key"])) is None
    assert (await counter.admin.send("GET", "/api/v1/me", token=token)).status == 403
    assert (await counter.admin.send("GET", "/api/v1/groups", token=key["key"])).status == 403


async def test_a_flood_of_unknown_tokens_writes_nothing(counter: Counter) -> None:
    """K15."""
    await counter.group()
    with counter.database.reader() as connection:
        before = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        tokens = [new_staff_secret() for _ in range(200)]
        answers = await asyncio.gather(
            *(counter.admin.send("GET", "/api/v1/groups", token=token) for token in tokens)
        )
        after = connection.exec_driver_sql("PRAGMA data_version").scalar_one()

    assert {answer.status for answer in answers} == {401}
    assert before == after


async def test_a_token_counts_only_whole(counter: Counter) -> None:
    await counter.group()
    token = (await counter.token("owner"))["token"]

    for wrong in (token[:-1], token[:-1] + "!", token.upper(), token + "0"):
        answer = await counter.admin.send("GET", "/api/v1/groups", token=wrong)
        assert answer.status == 401
        assert token[20:] not in str(answer.json)
    assert (await counter.admin.send("GET", "/api/v1/groups", token=token)).status == 200
