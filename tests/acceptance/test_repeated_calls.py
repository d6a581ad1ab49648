"""kill -9 in the middle of creating calls: sent again under the same name, each has made its things once (M14)."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.processes import ADMIN_TOKEN, Server, call, start_server

ROUNDS = 4
ROWS = 400


def make(server: Server, path: str, body: object, name: str) -> Any:
    request = urllib.request.Request(
        f"{server.url}/api/v1{path}",
        data=json.dumps(body).encode(),
        headers={
            "authorization": f"Bearer {ADMIN_TOKEN}",
            "content-type": "application/json",
            "idempotency-key": name,
        },
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.loads(reply.read())


def try_to_make(server: Server, path: str, body: object, name: str) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        make(server, path, body, name)


def all_of(server: Server, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.made("GET", f"{path}limit=1000")["data"]
    return found


def test_a_call_that_a_kill_interrupted_can_be_sent_again(tmp_path: Path) -> None:
    rng = random.Random(7)
    server = start_server(tmp_path, None)
    interrupted = 0
    try:
        for number in range(ROUNDS):
            group = f"round{number}"
            server.made("POST", "/groups", {"name": group})
            rows = [{"external_id": f"{number}-{row}"} for row in range(ROWS)]
            path = f"/groups/{group}/members?issue_keys=true"

            name = f"import {number}"
            caller = threading.Thread(target=try_to_make, args=(server, path, rows, name))
            caller.start()
            time.sleep(rng.uniform(0.02, 0.3))
            server.kill()
            caller.join()
            server = start_server(tmp_path, None)
            done = len(all_of(server, f"/groups/{group}/members?"))
            interrupted += 0 < done < ROWS

            again = make(server, path, rows, name)

            ids = [member["id"] for member in again["data"]]
            keys = all_of(server, f"/keys?group={group}&")
            assert len(set(ids)) == len(ids) == ROWS
            assert len(keys) == ROWS
            assert {key["member"] for key in keys} == set(ids)
            for member in rng.sample(again["data"], 5):
                assert call("GET", f"{server.url}/api/v1/me", token=member["key"])[0] == 200
    finally:
        server.stop()
    assert interrupted, "no kill came in the middle"
