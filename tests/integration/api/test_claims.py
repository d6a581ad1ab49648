"""Claim links: making them, opening one, and what opens nothing."""

from __future__ import annotations

import asyncio
import re

import pytest
from sqlalchemy import func, select

from tests.integration.api.conftest import PUBLIC_URL, Counter
from tests.support.asgi_client import Answer
from tuckshop.api.visitors import ADDRESS_BURST
from tuckshop.domain.actor import OPERATOR, Actor
from tuckshop.domain.claim_links import new_claim_secret
from tuckshop.domain.errors import ConflictError, NotFoundError
from tuckshop.domain.keys import digest_of, is_well_formed
from tuckshop.pricing.price_book import PriceBook
from tuckshop.pricing.prices import PriceList
from tuckshop.services.claims import Claims
from tuckshop.services.shapes.claims import HandOut
from tuckshop.storage.schema import audit, claims

pytestmark = pytest.mark.anyio

OUR_PAGE = {"sec-fetch-site": "same-origin"}
DAY_S = 86_400


async def link_for(counter: Counter, member_id: str) -> str:
    """The secret of a new link."""
    answer = await counter.admin.post(f"/api/v1/members/{member_id}/claim-links")
    assert answer.status == 201, answer.body
    return secret_of(answer.json["url"])


def secret_of(url: str) -> str:
    start, _, secret = url.partition("#")
    assert start == f"{PUBLIC_URL}/claim/"
    return secret


async def open_link(counter: Counter, secret: str, headers: dict[str, str] | None = None) -> Answer:
    return await counter.admin.send(
        "POST",
        "/api/v1/claim",
        body={"secret": secret},
        headers=OUR_PAGE if headers is None else headers,
        token="",
    )


def opens(counter: Counter, key: str) -> bool:
    return counter.services.directory.find(digest_of(key), counter.clock.now_us()) is not None


def rows_written(counter: Counter) -> int:
    """Rows of the audit trail: every change leaves one."""
    with counter.database.reader() as connection:
        return connection.execute(select(func.count()).select_from(audit)).scalar_one()


async def test_a_link_opens_once_and_hands_out_a_key(counter: Counter) -> None:
    """K1, K16: of link and key only digests are kept; who opened what is in the trail."""
    await counter.group(
        title="Software architecture",
        time_zone="Europe/Berlin",
        each=["$0.20/month", "35 requests/minute on gpt-4o-mini"],
        models=["gpt-4o-mini"],
    )
    member = await counter.member(name="Ada Lovelace")

    secret = await link_for(counter, member["id"])
    answer = await open_link(counter, secret)
    again = await open_link(counter, secret)

    assert len(secret) == 43  # 256 bits
    assert answer.status == 200, answer.body
    assert answer.headers["cache-control"] == "no-store"
    shown = answer.json
    assert is_well_formed(shown["key"])
    assert opens(counter, shown["key"])
    assert (shown["name"], shown["course"]) == ("Ada Lovelace", "Software architecture")
    assert shown["base_url"] == f"{PUBLIC_URL}/v1"
    assert shown["limits"] == [
        "$0.20 a month, renews 1 Dec 00:00 (Europe/Berlin)",
        "35 requests a minute on gpt-4o-mini",
    ]
    assert "Prompts and answers are not kept." in shown["privacy"][0]  # P5
    assert shown["notice"] is None
    for snippet in shown["snippets"]:
        assert shown["key"] in snippet["text"]
        assert shown["base_url"] in snippet["text"]
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_AGENTS_DISABLE_TRACING=1"):
        assert name in shown["snippets"][0]["text"]
    assert again.status == 410
    assert "opened already" in again.json["detail"]
    trail = (await counter.admin.get("/api/v1/audit")).json["data"]
    assert [row["action"] for row in trail[:3]] == ["claim.open", "key.create", "claim.create"]
    assert trail[0]["actor"] == f"member:{member['id']}"
    for file in counter.database.path.parent.iterdir():
        assert secret.encode() not in file.read_bytes()
        assert shown["key"].encode() not in file.read_bytes()


async def test_fifty_openings_at_once_give_one_key(counter: Counter) -> None:
    await counter.group()
    member = await counter.member()
    secret = await link_for(counter, member["id"])

    answers = await asyncio.gather(*(open_link(counter, secret) for _ in range(50)))

    assert sorted(answer.status for answer in answers) == [200] + [410] * 49
    keys = (await counter.admin.get(f"/api/v1/members/{member['id']}/keys")).json["data"]
    assert [key["name"] for key in keys] == ["claimed"]


async def test_a_new_link_voids_the_older_one_and_replaces_the_claimed_key(
    counter: Counter,
) -> None:
    """M14: it is the same key with a new secret, so nothing that was spent is forgotten; other keys go on."""
    await counter.group(each=["$1/month"])
    member = await counter.member()
    own = await counter.key(member["id"], name="laptop")
    first, second = (
        await link_for(counter, member["id"]),
        await link_for(counter, member["id"]),
    )

    void = await open_link(counter, first)
    one = (await open_link(counter, second)).json["key"]
    third = await link_for(counter, member["id"])
    other = (await open_link(counter, third)).json["key"]

    assert (void.status, "newer link" in void.json["detail"]) == (410, True)
    assert not opens(counter, one)
    assert opens(counter, other)
    assert opens(counter, own["key"])
    keys = (await counter.admin.get(f"/api/v1/members/{member['id']}/keys")).json["data"]
    assert sorted(key["name"] for key in keys) == ["claimed", "laptop"]


async def test_a_key_that_was_revoked_is_followed_by_another_and_a_paused_one_by_none(
    counter: Counter,
) -> None:
    await counter.group()
    member = await counter.member()
    await open_link(counter, await link_for(counter, member["id"]))
    [key] = (await counter.admin.get(f"/api/v1/members/{member['id']}/keys")).json["data"]

    await counter.admin.post(f"/api/v1/keys/{key['id']}/pause")
    secret = await link_for(counter, member["id"])
    paused = await open_link(counter, secret)
    await counter.admin.post(f"/api/v1/keys/{key['id']}/revoke")
    fresh = await open_link(counter, await link_for(counter, member["id"]))

    assert (paused.status, "paused" in paused.json["detail"]) == (409, True)
    assert fresh.status == 200
    assert opens(counter, fresh.json["key"])


@pytest.mark.parametrize("what", ["member", "group"])
async def test_who_is_paused_gets_no_key_and_keeps_the_link(counter: Counter, what: str) -> None:
    group = await counter.group()
    member = await counter.member()
    secret = await link_for(counter, member["id"])
    path = f"/api/v1/{what}s/{member['id'] if what == 'member' else group['id']}"

    await counter.admin.post(f"{path}/pause")
    refused = await open_link(counter, secret)
    await counter.admin.post(f"{path}/resume")
    opened = await open_link(counter, secret)

    assert (refused.status, opened.status) == (409, 200)
    assert "paused at the moment" in refused.json["detail"]


async def test_a_link_ends_after_fourteen_days(counter: Counter) -> None:
    await counter.group()
    member = await counter.member()
    early = await link_for(counter, member["id"])
    counter.clock.advance(14 * DAY_S - 1)
    assert (await open_link(counter, early)).status == 200

    late = await link_for(counter, member["id"])
    counter.clock.advance(14 * DAY_S)

    answer = await open_link(counter, late)
    assert (answer.status, "14 days" in answer.json["detail"]) == (410, True)


async def test_what_opens_nothing_writes_nothing_and_a_flood_is_turned_away(
    counter: Counter,
) -> None:
    """K15: unknown, used and malformed secrets cost no write, and soon not even a look."""
    await counter.group()
    member = await counter.member()
    used = await link_for(counter, member["id"])
    await open_link(counter, used)
    before = rows_written(counter)

    found = set()
    for secret in (new_claim_secret(), used, "", "x" * 43, "ä" * 43, "../../etc/passwd"):
        found.add((await open_link(counter, secret)).status)
    flood = [await open_link(counter, new_claim_secret()) for _ in range(ADDRESS_BURST)]

    assert found == {404, 410}
    assert flood[-1].status == 429
    assert int(flood[-1].headers["retry-after"]) >= 1
    assert rows_written(counter) == before
    counter.clock.advance(60)
    assert (await open_link(counter, used)).status == 410


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"origin": PUBLIC_URL}, True),
        ({"origin": "http://test"}, True),  # the host that was asked
        ({}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site", "origin": PUBLIC_URL}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
    ],
)
async def test_only_our_own_page_opens_links(
    counter: Counter, headers: dict[str, str], is_ours: bool
) -> None:
    """K12: and what is refused has used nothing up."""
    await counter.group()
    member = await counter.member()
    secret = await link_for(counter, member["id"])

    answer = await open_link(counter, secret, headers)

    assert answer.status == (200 if is_ours else 403)
    if not is_ours:
        assert (await open_link(counter, secret)).status == 200


async def test_looking_uses_nothing_up(counter: Counter) -> None:
    """K12: what mail gateways and chat previews do."""
    await counter.group()
    member = await counter.member()
    secret = await link_for(counter, member["id"])

    for method in ("GET", "HEAD", "OPTIONS", "PUT"):
        await counter.admin.send(method, "/api/v1/claim", headers=OUR_PAGE, token="")

    assert (await open_link(counter, secret)).status == 200


async def test_links_of_a_group_go_to_those_without_a_key_or_to_all(counter: Counter) -> None:
    await counter.group(each=["$0.20/month"])
    served = await counter.member(external_id="1")
    await counter.key(served["id"])
    await counter.member(external_id="2", name="=cmd()")
    paused = await counter.member(external_id="3")
    await counter.admin.post(f"/api/v1/members/{paused['id']}/pause")
    path = "/api/v1/groups/swa/claim-links"

    some = await counter.admin.post(path)
    everybody = await counter.admin.post(path, all="true")
    one = await counter.admin.post(path, {"members": [served["id"]]}, all="true")
    file = await counter.admin.send("POST", path, headers={"accept": "text/csv"})
    foreign = await counter.admin.post(path, {"members": ["mem_nosuch"]})

    assert some.status == 201
    assert [row["external_id"] for row in some.json["data"]] == ["2"]
    assert some.json["left_out"] == 2
    assert sorted(row["external_id"] for row in everybody.json["data"]) == ["1", "2"]
    assert everybody.json["base_url"] == f"{PUBLIC_URL}/v1"
    assert [row["action"] for row in one.json["data"]] == ["linked"]
    assert b"'=cmd()" in file.body
    [url] = re.findall(rb"https://\S+?/claim/#[\w-]{43}", file.body)
    assert foreign.status == 404
    assert (await open_link(counter, secret_of(some.json["data"][0]["url"]))).status == 410
    assert (await open_link(counter, secret_of(url.decode()))).status == 200


async def test_keys_of_a_group_go_to_those_without_one_and_anew_to_all_if_asked(
    counter: Counter,
) -> None:
    """M14."""
    await counter.group(title="Software architecture", each=["$0.20/month"])
    ada = await counter.member(external_id="1", name="Ada")
    old = await counter.key(ada["id"], name="laptop")
    await counter.member(external_id="2")
    path = "/api/v1/groups/swa/keys"

    first = (await counter.admin.post(path)).json
    again = (await counter.admin.post(path)).json
    anew = (await counter.admin.post(path, {"reissue": True, "overlap": "1h"})).json
    wrong = await counter.admin.post(path, {"overlap": "1h"})

    assert [(row["external_id"], row["action"]) for row in first["data"]] == [("2", "issued")]
    assert first["course"] == "Software architecture"
    assert first["data"][0]["limits"] == ["$0.20 a month, renews 1 Dec 00:00 (UTC)"]
    assert (again["data"], again["left_out"]) == ([], 2)
    assert sorted((row["external_id"], row["action"]) for row in anew["data"]) == [
        ("1", "rotated"),
        ("2", "rotated"),
    ]
    assert wrong.status == 422
    assert opens(counter, old["key"])
    counter.clock.advance(3_601)
    assert not opens(counter, old["key"])
    assert all(opens(counter, row["key"]) for row in anew["data"])


async def test_handing_out_again_by_the_same_name_gives_the_same_keys(counter: Counter) -> None:
    """M14: what a client does whose connection broke before the answer; what is in use stays as it is."""
    await counter.group()
    ada = await counter.member(external_id="1")
    await counter.key(ada["id"])
    await counter.member(external_id="2")
    path, body = "/api/v1/groups/swa/keys", {"reissue": True, "overlap": "1h"}
    headers = {"idempotency-key": "monday"}

    lost = await counter.admin.send("POST", path, body=body, headers=headers)
    told = await counter.admin.send("POST", path, body=body, headers=headers)

    first = {row["external_id"]: row for row in lost.json["data"]}
    second = {row["external_id"]: row for row in told.json["data"]}
    assert second.keys() == {"1", "2"}
    for external_id, row in second.items():
        assert row["key_id"] == first[external_id]["key_id"]
        assert row["action"] == first[external_id]["action"]
        assert opens(counter, row["key"])
        assert not opens(counter, first[external_id]["key"])


async def test_staff_of_one_group_hand_out_nothing_in_another(counter: Counter) -> None:
    """K5: neither by the group's name nor by a member's id, and it is told as what there is not."""
    own = await counter.group()
    await counter.group(name="other")
    foreign = await counter.member("other")
    staff = Actor(kind="token", id="tok_1", role="assistant", groups=frozenset({own["id"]}))
    services = counter.services

    with pytest.raises(NotFoundError):
        await services.claims.new_link(staff, foreign["id"])
    for group, members in (("other", None), ("swa", [foreign["id"]])):
        with pytest.raises(NotFoundError):
            await services.handing_out.keys(staff, group, HandOut(members=members))
        with pytest.raises(NotFoundError):
            await services.handing_out.links(staff, group, to_all=True, member_ids=members)


async def test_who_listens_writes_with_the_opening_or_stops_it(counter: Counter) -> None:
    """The hook by which a mail tells the member that the link was opened."""
    told: list[str] = []
    counter.services.claims.on_opened(lambda edit, member_id: told.append(member_id))
    await counter.group()
    member = await counter.member()
    secret = await link_for(counter, member["id"])

    assert (await open_link(counter, secret)).status == 200

    assert told == [member["id"]]


async def test_without_a_public_address_no_link_is_made(counter: Counter) -> None:
    await counter.group()
    member = await counter.member()
    services = counter.services
    without = Claims(
        services.changes,
        services.directory,
        counter.database,
        counter.clock,
        prices=PriceBook(PriceList(()), counter.clock),
        public_url=None,
    )

    with pytest.raises(ConflictError, match="TUCKSHOP_PUBLIC_URL"):
        await without.new_link(OPERATOR, member["id"])
    with counter.database.reader() as connection:
        assert connection.execute(select(func.count()).select_from(claims)).scalar_one() == 0


@pytest.mark.parametrize("how", ["revoke", "archive", "bulk"])
async def test_the_end_of_a_claimed_key_voids_the_link_that_would_replace_it(
    counter: Counter, how: str
) -> None:
    """K1, K16: a key that was closed because it leaked does not come back out of an older mail."""
    await counter.group()
    member = await counter.member()
    await open_link(counter, await link_for(counter, member["id"]))
    (key,) = (await counter.admin.get("/api/v1/keys", member=member["id"])).json["data"]
    older = await link_for(counter, member["id"])

    if how == "bulk":
        body = {"action": "revoke", "filter": {"keys": [key["id"]]}}
        done = await counter.admin.post("/api/v1/keys/bulk", body)
    else:
        done = await counter.admin.post(f"/api/v1/keys/{key['id']}/{how}")
    assert done.status == 200, done.body
    refused = await open_link(counter, older)

    assert (refused.status, "was closed since" in refused.json["detail"]) == (410, True)
    trail = (await counter.admin.get("/api/v1/audit", action="claim.void")).json["data"]
    assert [row["after"] for row in trail] == [{"member": member["id"], "key": key["id"]}]
    newer = await open_link(counter, await link_for(counter, member["id"]))
    assert newer.status == 200, newer.body
    # What has ended already ends no link that was made since.
    latest = await link_for(counter, member["id"])
    await counter.admin.post(f"/api/v1/keys/{key['id']}/archive")
    assert (await open_link(counter, latest)).status == 200


async def test_the_end_of_another_key_leaves_links_alone(counter: Counter) -> None:
    await counter.group()
    member = await counter.member()
    key = await counter.key(member["id"])
    link = await link_for(counter, member["id"])

    await counter.admin.post(f"/api/v1/keys/{key['id']}/revoke")

    assert (await open_link(counter, link)).status == 200
