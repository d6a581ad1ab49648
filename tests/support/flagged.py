"""Flags of members of a server that runs, for tests of what staff do with them."""

from __future__ import annotations

from tests.support.processes import Server, call


def flag(server: Server, member: str) -> str:
    """One of *member*, for a word that their group forbids from now on; its id."""
    group = server.made("GET", f"/members/{member}")["group"]
    server.made("PATCH", f"/groups/{group}", {"rules": {"deny_words": ["forbidden"]}})
    key = server.made("POST", f"/members/{member}/keys", {"name": "flagged"})["key"]
    said = [{"role": "user", "content": "Something forbidden."}]
    body = {"model": "gpt-4o-mini", "messages": said, "max_tokens": 20}
    status, answer = call("POST", f"{server.url}/v1/chat/completions", body, token=key)
    assert status == 400, answer
    return str(server.made("GET", f"/moderation/flags?member={member}")["data"][0]["id"])
