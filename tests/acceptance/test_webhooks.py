"""Webhooks from outside: what a revoked key's call tells arrives, whatever kills the server on the way (K15, K20)."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.processes import call, start_server
from tests.support.webhook_receiver import Receiver, webhook_receiver


def wait_for(receiver: Receiver, count: int) -> None:
    deadline = time.monotonic() + 40
    while len(receiver.came) < count:
        assert time.monotonic() < deadline, receiver.came
        time.sleep(0.05)


def test_kill_9_between_posting_and_arrival_loses_nothing(tmp_path: Path) -> None:
    """K20: at least once, with the same id and a signature that holds."""
    with webhook_receiver() as receiver:
        receiver.status = 503
        server = start_server(tmp_path, None)
        server.made("POST", "/groups", {"name": "swa"})
        made = server.made("POST", "/groups/swa/members?issue_keys=true", {"external_id": "1"})
        key = server.made("GET", f"/members/{made['data'][0]['id']}/keys")["data"][0]
        webhook = server.made("POST", "/webhooks", {"url": receiver.url(), "reach": "any"})
        server.made("POST", f"/keys/{key['id']}/revoke")
        status, _ = call("GET", f"{server.url}/v1/models", token=made["data"][0]["key"])
        assert status == 401
        wait_for(receiver, 1)
        server.kill()

        receiver.status = 204
        server = start_server(tmp_path, None)
        wait_for(receiver, 2)

        first, second = receiver.came[0], receiver.came[-1]
        assert first.id == second.id
        assert second.json["type"] == "revoked_key_used"
        assert second.json["data"]["key"] == key["id"]
        assert second.is_signed_with(webhook["secret"])
        assert server.stop() == 0
