"""What the provider learns of a member: a keyed name, worth nothing without this server's secret (P3, K10)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import NewKey
from tests.support.http import post
from tests.support.processes import Mock, Server, call, start_server
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai.table import ENDPOINTS

CHAT = "/v1/chat/completions"
NAME, EMAIL, EXTERNAL_ID = "Ada Kanarienvogel", "ada.kanarie@example.org", "4711-kanarie"


def told_of(server: Server, mock: Mock, key: str, **wish: Any) -> str:
    """What the upstream was told of a caller; nothing else of theirs may be in its request."""
    body = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hello. [[tokens:5]]"}],
        "max_tokens": 20,
        **wish,
    }
    assert asyncio.run(post(server.url, CHAT, key, body)).status == 200
    request = mock.requests()[-1]
    me = call("GET", f"{server.url}/api/v1/me", token=key)[1]
    key_id = me["key"]["id"]
    member_id = server.made("GET", f"/keys/{key_id}")["member"]
    seen = json.dumps(request)
    for secret in (NAME, EMAIL, EXTERNAL_ID, key, key_id, member_id, "somebody else"):
        assert secret not in seen
    assert "user" not in request["body"]
    identifier: str = request["body"]["safety_identifier"]
    assert identifier != hashlib.sha256(member_id.encode()).hexdigest(), "no secret is in it"
    return identifier


def test_the_provider_is_told_a_pseudonym_of_the_member_and_nothing_else(
    server: Server, mock: Mock, new_key: NewKey, tmp_path: Path
) -> None:
    first = new_key(member={"external_id": EXTERNAL_ID, "name": NAME, "email": EMAIL})
    key_id = call("GET", f"{server.url}/api/v1/me", token=first)[1]["key"]["id"]
    member = server.made("GET", f"/keys/{key_id}")["member"]
    second = server.made("POST", f"/members/{member}/keys", {})["key"]
    other = new_key()

    identifier = told_of(server, mock, first)

    assert len(identifier) <= 64
    assert identifier.isascii()
    assert told_of(server, mock, first, user="somebody else") == identifier
    assert told_of(server, mock, first, safety_identifier="somebody else") == identifier
    assert told_of(server, mock, second) == identifier, "of the member, whatever the key"
    assert told_of(server, mock, other) != identifier
    secret = (server.data / "secret-key").read_text().strip()
    for path in server.data.glob("*.db*"):
        content = path.read_bytes()
        assert secret.encode() not in content
        assert bytes.fromhex(secret) not in content
        assert identifier.encode() not in content


# Of each endpoint a call; those without a field for it are told by what they must not hold.
BODIES: dict[str, dict[str, Any]] = {
    "chat.completions": {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hello. [[tokens:5]]"}],
        "max_tokens": 20,
    },
    "responses": {
        "model": "gpt-4o-mini",
        "input": "Hello. [[tokens:5]]",
        "max_output_tokens": 20,
    },
    "responses.input_tokens": {"model": "gpt-4o-mini", "input": "Hello."},
    "completions": {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello.", "max_tokens": 20},
    "embeddings": {"model": "text-embedding-3-small", "input": "Hello."},
    "moderations": {"input": "Hello."},
}
FIELDS = ("safety_identifier", "user")


CALLS = [
    pytest.param(row, stream, id=f"{row.name}{', streamed' if stream else ''}")
    for row in ENDPOINTS
    if row.body_max_bytes
    for stream in (False, *((True,) if row.streams else ()))
]


@pytest.mark.parametrize(("endpoint", "stream"), CALLS)
def test_every_call_tells_the_pseudonym_where_it_can_be_told_and_never_the_clients_word(
    server: Server, mock: Mock, new_key: NewKey, endpoint: Endpoint, stream: bool
) -> None:
    """K10, P3: on every endpoint that has a field for it; whose it is, `who` tells."""
    key = new_key()
    wish = {name: "somebody else" for name in FIELDS if name in endpoint.parameters}
    body = {**BODIES[endpoint.name], **wish, **({"stream": True} if stream else {})}

    answer = asyncio.run(post(server.url, f"/v1{endpoint.path}", key, body))

    assert answer.status == 200, answer.body
    sent = mock.requests()[-1]["body"]
    assert "somebody else" not in json.dumps(sent)
    told = {name: sent[name] for name in FIELDS if name in sent}
    assert list(told) == ([endpoint.identity_field] if endpoint.identity_field else [])
    me = call("GET", f"{server.url}/api/v1/me", token=key)[1]
    member = server.made("GET", f"/keys/{me['key']['id']}")["member"]
    for pseudonym in told.values():
        whose = server.made("POST", "/who", {"pseudonym": pseudonym, "reason": "a test"})
        assert whose["member"] == member


def test_another_server_tells_another_pseudonym_of_the_same_member(
    mock: Mock, tmp_path: Path
) -> None:
    """The secret is made by chance for each data folder, and lies beside the database."""
    identifiers = set()
    for name in ("one", "two"):
        server = start_server(tmp_path / name, mock.url)
        try:
            server.made("POST", "/groups", {"name": "swa"})
            member = server.made("POST", "/groups/swa/members", {"external_id": EXTERNAL_ID})
            key = server.made("POST", f"/members/{member['data'][0]['id']}/keys", {})["key"]
            identifiers.add(told_of(server, mock, key))
        finally:
            assert server.stop() == 0
    assert len(identifiers) == 2
