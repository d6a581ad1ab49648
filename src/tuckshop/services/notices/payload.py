"""What a webhook is sent of a notice: kind, time, ids and numbers; never a name, and nothing that was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tuckshop.services.fields import rfc3339


def payload_of(row: Mapping[str, Any]) -> str:
    """The body for a row of `notices`."""
    about = {
        name: row[f"{name}_id"]
        for name in ("group", "member", "key", "request")
        if row[f"{name}_id"] is not None
    }
    facts = msgspec.json.decode(row["facts"])
    return msgspec.json.encode(
        {"type": row["kind"], "timestamp": rfc3339(row["at"]), "data": {**about, **facts}}
    ).decode()
