"""Flags in the ledger of a server that runs, for tests of what staff do with them."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.support.processes import Server


def flag(server: Server, member: str, number: int, *, key: str = "key_1", last_us: int) -> str:
    """One of *member*, as a check of a call would write it; its id."""
    group = server.made("GET", f"/members/{member}")["group"]
    row = {
        "workspace_id": "wsp_default", "id": f"flg_{number:024}", "at": last_us, "last_at": last_us,
        "group_id": group, "member_id": member, "key_id": key, "request_id": f"req_{number}", "source": "moderation",
        "action": "blocked", "reasons": '["violence"]', "scores": '{"violence": 0.93}', "content": bytes([number]),
        "is_own": 1, "state": "open",
    }  # fmt: skip
    with closing(sqlite3.connect(server.data / "tuckshop.db", timeout=10)) as ledger, ledger:
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        ledger.execute(f"INSERT INTO flags ({names}) VALUES ({marks})", row)  # noqa: S608 - names of ours
    return str(row["id"])
