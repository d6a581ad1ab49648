"""Who may call what, and how the face answers what it does not take."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.api.conftest import ADMIN_TOKEN, Counter
from tuckshop.api.access import ME_BURST
from tuckshop.api.app import all_routes
from tuckshop.api.routing import Call, Route
from tuckshop.domain.keys import new_secret

pytestmark = pytest.mark.anyio

ROUTES = all_routes(lambda: None)


async def nothing(call: Call) -> object:
    return None


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"role": ""}, "role"),
        ({"role": "anyone"}, "role"),
        ({"role": None}, "role"),
        ({"scope": ""}, "scope"),
        ({"scope": None}, "scope"),
        ({"scope": "group"}, "names one"),  # and the path names none
        ({"path": "/api/v1/keys/{key}"}, "names one"),  # and the scope is not that
        ({"role": "viewer", "scope": "server"}, "all groups"),
    ],
)
def test_a_route_without_role_and_scope_cannot_be_built(
    declared: dict[str, Any], reason: str
) -> None:
    """K4."""
    sound: dict[str, Any] = {
        "method": "GET",
        "path": "/api/v1/x",
        "handler": nothing,
        "summary": "",
        "response": None,
        "role": "viewer",
        "scope": "rows",
    }
    Route(**sound)

    with pytest.raises(ValueError, match=reason):
        Route(**{**sound, **declared})
    for name in ("role", "scope"):
        with pytest.raises(TypeError):
            Route(**{key: value for key, value in sound.items() if key != name})


def test_only_health_the_description_and_links_are_open_to_all_and_only_me_to_keys() -> None:
    """K4, K21."""
    by_role: dict[str, set[str]] = {}
    for route in ROUTES:
        by_role.setdefault(route.role, set()).add(f"{route.method} {route.path}")

    assert by_role["public"] == {
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        "GET /api/openapi.json",
        "GET /api/docs",
        # The link is the credential; only a page of ours may make the call.
        "POST /api/v1/claim",
        "POST /api/v1/appeal",
        "POST /api/v1/appeal/flags",
    }
    assert by_role["key"] == {
        "GET /api/v1/me",
        "GET /api/v1/me/notice",
        "POST /api/v1/me/rotate",
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_the_role_of_every_route_is_kept(counter: Counter, route: Route) -> None:
    """K4: every route times every kind of caller."""
    _, _, key = await counter.chain(self_rotate=True)
    path = re.sub(r"\{[a-z]+\}", "nosuch", route.path)

    async def status(token: str) -> int:
        answer = await counter.admin.send(route.method, path, token=token)
        return answer.status

    nobody, stranger = await status(""), await status("not the token")
    unknown_key = await status(new_secret())
    holder, admin = await status(key["key"]), await status(ADMIN_TOKEN)

    if route.role == "public" and route.method == "POST":
        assert (nobody, stranger, unknown_key, holder, admin) == (403, 403, 403, 403, 403)
    elif route.role == "public":
        assert (nobody, stranger, unknown_key, holder, admin) == (200, 200, 200, 200, 200)
    elif route.role == "key":
        assert (nobody, stranger, unknown_key, holder, admin) == (401, 401, 401, 200, 403)
    else:
        assert (nobody, stranger, unknown_key, holder) == (401, 401, 401, 403)
        assert admin in (200, 404, 400, 409, 422)


async def test_a_refusal_for_want_of_a_credential_says_how_to_send_one(counter: Counter) -> None:
    answer = await counter.admin.send("GET", "/api/v1/groups", token="")

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in answer.json["detail"]
    assert set(answer.json) == {"type", "title", "status", "detail"}


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Basic {ADMIN_TOKEN}"},
        {"authorization": ADMIN_TOKEN},
        {"authorization": f"Bearer {ADMIN_TOKEN} x"},
        {"authorization": f"Bearer {ADMIN_TOKEN[:-1]}"},
        {"x-api-key": ADMIN_TOKEN},
        {"cookie": f"token={ADMIN_TOKEN}"},
    ],
)
async def test_the_admin_token_counts_only_whole_and_in_its_place(
    counter: Counter, headers: dict[str, str]
) -> None:
    answer = await counter.admin.send("GET", "/api/v1/groups", token="", headers=headers)

    assert answer.status == 401


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (("POST", "keys/{key}/pause"), 403),
        (("POST", "members/{member}/pause"), 403),
        (("POST", "groups/{group}/pause"), 403),
        (("POST", "keys/{key}/revoke"), 401),
        (("DELETE", "keys/{key}"), 401),
        (("DELETE", "members/{member}"), 401),
        (("DELETE", "groups/{group}"), 401),
    ],
)
async def test_me_is_closed_to_what_is_not_active(
    counter: Counter, call: tuple[str, str], status: int
) -> None:
    """K3."""
    group, member, key = await counter.chain()
    method, path = call
    path = path.format(group=group["id"], member=member["id"], key=key["id"])

    assert (await counter.admin.send(method, f"/api/v1/{path}")).status == 200

    answer = await counter.admin.send("GET", "/api/v1/me", token=key["key"])
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_key_that_asks_about_itself_all_the_time_is_told_to_wait(counter: Counter) -> None:
    """K21: each answer is read from the database, where others wait for their turn; and others are not held up."""
    await counter.group()
    hog, other = [
        (await counter.key((await counter.member(external_id=name))["id"]))["key"]
        for name in ("hog", "other")
    ]

    answers = [
        await counter.admin.send("GET", "/api/v1/me", token=hog) for _ in range(ME_BURST + 1)
    ]

    assert [answer.status for answer in answers] == [200] * ME_BURST + [429]
    assert answers[-1].headers["retry-after"] == "1"
    assert (await counter.admin.send("GET", "/api/v1/me", token=other)).status == 200


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/api/v1/", "/api/v1/groups/", "/api/v1/flags", "/metric"]
)
async def test_a_path_without_a_row_tells_what_is_served(counter: Counter, path: str) -> None:
    answer = await counter.admin.send("GET", path)

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "/api/v1/groups" in answer.json["detail"]


async def test_another_method_is_told_which_there_are(counter: Counter) -> None:
    answer = await counter.admin.send("PUT", "/api/v1/groups")

    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"name": "a", "name": "b"}', 400),
        (b'{"name": "a", "patience_s": NaN}', 400),
        (b'{"name": "a", "tools": ' + b"[" * 100 + b"]" * 100 + b"}", 400),
        (b"[]", 422),
        (b'"a"', 400),
        (b" " * 4_194_305, 413),
    ],
)
async def test_bodies_are_read_strictly(counter: Counter, raw: bytes, status: int) -> None:
    """E5."""
    answer = await counter.admin.send(
        "POST", "/api/v1/groups", raw=raw, headers={"content-type": "application/json"}
    )

    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "raw", [b"[", b'[{"external_id": "1", "external_id": "2"}]', b'[1], "x": [2]', b"[1]"]
)
async def test_lists_are_read_strictly_too(counter: Counter, raw: bytes) -> None:
    await counter.group()

    answer = await counter.admin.send("POST", "/api/v1/groups/swa/members", raw=raw)

    if raw == b"[1]":
        assert (answer.status, answer.json["errors"][0]["line"]) == (201, 1)
    else:
        assert answer.status == 400, answer.body


async def test_other_media_and_codings_are_refused(counter: Counter) -> None:
    form = await counter.admin.send(
        "POST",
        "/api/v1/groups",
        raw=b"name=a",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    zipped = await counter.admin.send(
        "POST", "/api/v1/groups", raw=b"{}", headers={"content-encoding": "gzip"}
    )

    assert (form.status, zipped.status) == (415, 415)


async def test_readiness_tells_why_not(counter: Counter) -> None:
    ready = await counter.admin.send("GET", "/readyz", token="")
    counter.trouble.append("the disk is full")
    not_ready = await counter.admin.send("GET", "/readyz", token="")
    alive = await counter.admin.send("GET", "/healthz", token="")

    assert (ready.status, not_ready.status, alive.status) == (200, 503, 200)
    assert "the disk is full" in not_ready.json["detail"]


async def test_the_description_names_every_route_and_hides_nothing_behind_a_reference(
    counter: Counter,
) -> None:
    document = (await counter.admin.send("GET", "/api/openapi.json", token="")).json

    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in ROUTES}
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references <= set(document["components"]["schemas"])
    operations = [op for path in document["paths"].values() for op in path.values()]
    identifiers = [operation["operationId"] for operation in operations]
    assert len(set(identifiers)) == len(identifiers)


async def test_a_failure_inside_tells_nothing_but_that_it_failed(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*args: object, **kwargs: object) -> object:
        raise RuntimeError("a secret in a message")

    monkeypatch.setattr(type(counter.services.groups), "page", fail)

    answer = await counter.admin.get("/api/v1/groups")

    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "GET /api/v1/groups failed" in caplog.text
