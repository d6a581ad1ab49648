"""What a webhook is sent of a notice: kind, time, ids and numbers; never a name, and nothing that was written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from tuckshop.services.fields import rfc3339

_BODY: Final = msgspec.json.Encoder(decimal_format="number")


def facts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of `notices` says beside whom it is about; amounts are exact."""
    found: dict[str, Any] = json.loads(row["facts"], parse_float=Decimal)
    return found


def payload_of(row: Mapping[str, Any]) -> str:
    """The body for a row of `notices`."""
    about = {
        name: row[f"{name}_id"]
        for name in ("group", "member", "key", "request")
        if row[f"{name}_id"] is not None
    }
    facts = facts_of(row)
    return _BODY.encode(
        {"type": row["kind"], "timestamp": rfc3339(row["at"]), "data": {**about, **facts}}
    ).decode()
