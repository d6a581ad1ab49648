"""Upstreams by the admin API: added, changed, tried, removed; credentials go in and never come out (K2, K20)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.integration.api.conftest import OWN_PORT, Counter
from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import InvalidFieldsError
from tuckshop.services.opening import UpstreamSetting, open_directory
from tuckshop.services.shapes.upstreams import NewUpstream, UpstreamChange

pytestmark = pytest.mark.anyio

SECRET = "sk-real-canary-0123456789abcdWXYZ"
OTHER = "sk-other-canary-9876543210dcbaQRST"
TOKEN_ACTOR = Actor(kind="token", id="tok_1")


async def add(counter: Counter, name: str = "second", **fields: Any) -> dict[str, Any]:
    answer = await counter.admin.post(
        "/api/v1/upstreams",
        {"name": name, "base_url": "https://llm.example.org/v1", "credential": SECRET, **fields},
    )
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.json
    return found


async def refused(counter: Counter, **fields: Any) -> tuple[int, str]:
    answer = await counter.admin.post("/api/v1/upstreams", {"name": "second", **fields})
    return answer.status, answer.json["detail"]


def rows(counter: Counter, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(counter.database.path)) as connection:
        return connection.execute(query).fetchall()


async def test_an_upstream_is_read_without_its_credential(counter: Counter) -> None:
    """K2."""
    made = await add(counter, models=["gpt-4o*"], profile="compatible")

    assert made == {
        "id": made["id"],
        "name": "second",
        "family": "openai",
        "profile": "compatible",
        "base_url": "https://llm.example.org/v1",
        "models": ["gpt-4o*"],
        "limits": [],
        "credential_source": "sealed",
        "last4": "WXYZ",
        "state": "ready",
    }
    assert made["id"].startswith("upr_")
    for path in ("/api/v1/upstreams/second", f"/api/v1/upstreams/{made['id']}"):
        answer = await counter.admin.get(path)
        assert answer.json == made
    live = counter.registry.get("second")
    assert live is not None
    assert live.credential == SECRET
    assert SECRET not in repr(live)


async def test_a_credential_is_in_no_file_answer_or_audit_row_in_clear(counter: Counter) -> None:
    """K2: whatever is done with it, refusals included."""
    answers = [
        await counter.admin.post("/api/v1/upstreams", {"name": "second", "credential": SECRET}),
        await counter.admin.patch("/api/v1/upstreams/second", {"credential": OTHER}),
        await counter.admin.post("/api/v1/upstreams", {"name": "second", "credential": SECRET}),
        await counter.admin.post("/api/v1/upstreams", {"name": "x", "credential": SECRET + " x"}),
        await counter.admin.post("/api/v1/upstreams", {"name": "x", "credential": [SECRET]}),
        await counter.admin.post("/api/v1/upstreams", {"name": "x", "key": SECRET}),
        await counter.admin.post(
            "/api/v1/upstreams", {"name": "x", "base_url": f"https://u:{SECRET}@a/v1"}
        ),
        await counter.admin.post(
            "/api/v1/upstreams", {"name": "x", "base_url": f"https://a:{SECRET}/v1"}
        ),
        await counter.admin.send(
            "POST", "/api/v1/upstreams", raw=f'{{"name": "x", "credential": "{SECRET}'.encode()
        ),
        await counter.admin.get("/api/v1/upstreams"),
        await counter.admin.delete("/api/v1/upstreams/second"),
    ]

    assert [answer.status for answer in answers] == [
        *(201, 200, 409, 422, 422, 422, 422, 422, 400, 200, 200),
    ]
    for answer in answers:
        assert b"canary" not in answer.body
    for path in counter.database.path.parent.iterdir():
        assert b"canary" not in path.read_bytes(), path


async def test_every_change_is_audited_in_its_transaction(counter: Counter) -> None:
    """K16."""
    await add(counter)
    await counter.admin.patch("/api/v1/upstreams/second", {"credential": OTHER})
    await counter.admin.patch("/api/v1/upstreams/second", {"credential": None})
    await counter.admin.delete("/api/v1/upstreams/second")

    found = rows(counter, "SELECT action, actor, before, after FROM audit ORDER BY number")[1:]

    assert [row[0] for row in found] == [
        *("upstream.add", "upstream.change", "upstream.change", "upstream.remove"),
    ]
    assert '"last4":"QRST"' in found[1][3]
    assert '"sealed":false' in found[2][3]
    assert found[3][3] is None


async def test_a_credential_that_is_moved_to_another_row_does_not_open_there(
    counter: Counter,
) -> None:
    """K2: it is sealed for its row."""
    await add(counter, "one")
    await add(counter, "two", credential=OTHER)

    def swap(transaction: Any) -> None:
        transaction.cursor.execute(
            "UPDATE upstreams SET sealed = (SELECT sealed FROM upstreams WHERE name = 'one')"
            " WHERE name = 'two'"
        )

    await counter.writer.transact(swap)
    directory = await open_directory(counter.writer, zone="UTC")
    directory.on_upstreams(counter.registry.follow)

    one, two = counter.registry.get("one"), counter.registry.get("two")
    assert one is not None
    assert two is not None
    assert (one.credential, two.credential) == (SECRET, None)


@pytest.mark.parametrize(
    ("base_url", "keeps"),
    [
        ("https://llm.example.org/v2", True),
        ("https://LLM.example.org:443/v1", True),
        ("http://llm.example.org/v1", False),
        ("https://llm.example.org:8443/v1", False),
        ("https://llm.example.net/v1", False),
    ],
)
async def test_another_scheme_host_or_port_drops_the_credential(
    counter: Counter, base_url: str, keeps: bool
) -> None:
    """K20: whoever edits an upstream must not get its key."""
    await add(counter)

    changed = await counter.admin.patch("/api/v1/upstreams/second", {"base_url": base_url})

    assert changed.status == 200
    assert changed.json["state"] == ("ready" if keeps else "no_credential")
    assert changed.json["last4"] == ("WXYZ" if keeps else None)
    live = counter.registry.get("second")
    assert live is not None
    assert live.credential == (SECRET if keeps else None)
    ((sealed,),) = rows(counter, "SELECT sealed FROM upstreams")
    assert (sealed is not None) == keeps


async def test_a_credential_that_comes_with_the_new_address_is_taken(counter: Counter) -> None:
    await add(counter)

    changed = await counter.admin.patch(
        "/api/v1/upstreams/second", {"base_url": "https://other.example", "credential": OTHER}
    )

    assert (changed.json["state"], changed.json["last4"]) == ("ready", "QRST")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"credential": "sk-tuck-" + "a" * 40}, "virtual key"),
        ({"credential": "env:HOME"}, "only the settings may"),
        ({"credential": "file:/etc/passwd"}, "only the settings may"),
        ({"credential": "a\nb"}, "line break"),
        ({"credential": ""}, "expected 1 to"),
        ({"base_url": f"http://127.0.0.1:{OWN_PORT}/v1"}, "own listener"),
        ({"base_url": "http://169.254.169.254/latest"}, "credentials"),
        ({"base_url": "http://[::ffff:169.254.169.254]/"}, "credentials"),
        ({"base_url": "ftp://a"}, "https://"),
        ({"base_url": "https://a/?key=1"}, "no query"),
        ({"name": "a/b"}, "expected 1 to 63"),
        ({"family": "azure"}, "not available yet"),
        ({"limits": ["4 concurrent requests"]}, "not available yet"),
        ({"models": ["a b"]}, "model id or glob"),
    ],
)
async def test_what_cannot_be_taken_is_told_and_nothing_is_made(
    counter: Counter, fields: dict[str, Any], told: str
) -> None:
    """K20, and `limits` until calls can wait for them."""
    status, detail = await refused(counter, **fields)

    assert status == 422
    assert told in detail
    assert rows(counter, "SELECT * FROM upstreams") == []


@pytest.mark.parametrize(
    "base_url",
    [
        "http://llm.example.org/v1",
        "https://127.0.0.1/v1",
        "https://10.0.0.1/v1",
        "https://[::1]/v1",
        "https://[::ffff:10.0.0.1]/v1",
        "https://[64:ff9b::a00:1]/v1",
        "https://169.254.1.1/v1",
        "https://0.0.0.0/v1",
    ],
)
async def test_beyond_the_operators_hand_an_address_is_https_and_public(
    counter: Counter, base_url: str
) -> None:
    """K20."""
    with pytest.raises(InvalidFieldsError, match="base_url"):
        await counter.services.upstreams.add(
            TOKEN_ACTOR, NewUpstream(name="second", base_url=base_url)
        )


async def test_what_others_than_the_operator_name_is_dialled_at_public_addresses_only(
    counter: Counter,
) -> None:
    """K20: a name that leads to a private address is found out when it is dialled."""
    await counter.services.upstreams.add(
        TOKEN_ACTOR,
        NewUpstream(name="second", base_url="https://localhost:1/v1", credential=SECRET),
    )

    by_staff = await counter.admin.post("/api/v1/upstreams/second/test")
    change = UpstreamChange(base_url="https://localhost:1/v2")
    await counter.services.upstreams.change(Actor(kind="operator"), "second", change)
    by_operator = await counter.admin.post("/api/v1/upstreams/second/test")

    assert by_staff.json["result"] == "forbidden"
    assert by_operator.json["result"] == "refused"  # nobody listens there


async def test_an_address_that_turns_out_to_be_our_own_is_not_dialled(counter: Counter) -> None:
    """K20."""
    await add(counter, base_url="http://127.0.0.1:9/v1")
    await counter.admin.patch(
        "/api/v1/upstreams/second", {"base_url": "http://localhost:9/v1", "credential": SECRET}
    )
    live = counter.registry.get("second")
    assert live is not None
    assert live.pool._guard is not None
    assert live.pool._guard.refusal("127.0.0.1", OWN_PORT) is not None
    assert live.pool._guard.refusal("::1", OWN_PORT) is not None


async def test_a_new_credential_keeps_the_connections_and_a_new_address_does_not(
    counter: Counter,
) -> None:
    await add(counter)
    first = counter.registry.get("second")
    await counter.admin.patch("/api/v1/upstreams/second", {"credential": OTHER})
    second = counter.registry.get("second")
    await counter.admin.patch("/api/v1/upstreams/second", {"base_url": "https://a.example"})
    third = counter.registry.get("second")

    assert first is not None
    assert second is not None
    assert third is not None
    assert first.pool is second.pool
    assert second.credential == OTHER
    assert third.pool is not second.pool


async def test_lists_come_in_the_order_of_looking_and_in_pages(counter: Counter) -> None:
    for name in ("a", "b", "c"):
        await add(counter, name)
        counter.clock.advance(1)

    page = await counter.admin.get("/api/v1/upstreams", limit=2)
    rest = await counter.admin.get("/api/v1/upstreams", cursor=page.json["next_cursor"])

    assert [one["name"] for one in page.json["data"]] == ["a", "b"]
    assert [one["name"] for one in rest.json["data"]] == ["c"]
    assert rest.json["next_cursor"] is None


async def test_a_removed_upstream_is_gone_with_its_credential(counter: Counter) -> None:
    await add(counter)

    gone = await counter.admin.delete("/api/v1/upstreams/second")
    again = await counter.admin.delete("/api/v1/upstreams/second")

    assert (gone.status, again.status) == (200, 404)
    assert counter.registry.get("second") is None
    assert rows(counter, "SELECT * FROM upstreams") == []


SETTING = UpstreamSetting(
    name="openai", base_url="https://api.openai.com/v1", profile="openai", credential=SECRET
)


async def test_the_upstream_of_the_settings_follows_them_at_every_start(counter: Counter) -> None:
    """Nothing of its credential is in the ledger but how it ends (K2)."""
    await add(counter)
    first = await open_directory(counter.writer, zone="UTC", upstream=SETTING)
    assert [one.name for one in first.upstreams()] == [
        "openai",
        "second",
    ]  # that of the settings first
    (record, _) = first.upstreams()
    assert (record.credential_source, record.sealed, record.last4) == ("setting", None, "WXYZ")

    again = await open_directory(counter.writer, zone="UTC", upstream=SETTING)
    assert again.version == first.version  # nothing to say

    moved = UpstreamSetting(
        name="openai", base_url="https://eu.api.openai.com/v1", profile="openai", credential=OTHER
    )
    changed = await open_directory(counter.writer, zone="UTC", upstream=moved)
    assert changed.upstream("openai").base_url == "https://eu.api.openai.com/v1"
    assert changed.upstream("openai").last4 == "QRST"

    unset = await open_directory(counter.writer, zone="UTC")
    assert [one.name for one in unset.upstreams()] == ["second"]


async def test_settings_take_over_an_upstream_of_their_name(counter: Counter) -> None:
    made = await add(counter, "openai", models=["gpt-4o*"])

    directory = await open_directory(counter.writer, zone="UTC", upstream=SETTING)

    record = directory.upstream("openai")
    assert record.id == made["id"]
    assert (record.credential_source, record.sealed) == ("setting", None)
    assert record.models == ("gpt-4o*",)  # what the settings do not say stays
