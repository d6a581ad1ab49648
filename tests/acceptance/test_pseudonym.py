"""What the provider learns of a member: a keyed name, worth nothing without this server's secret (P3, K10)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import NewKey
from tests.support.http import post
from tests.support.processes import Mock, Server, call, start_server

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
