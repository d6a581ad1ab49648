"""
BricksLLM's exports: `/api/key-management/keys` and `/api/users`, or the tables `keys` and `users` as CSV.

It keeps a key as the hexadecimal SHA-256 of its secret (or, where its `isKeyNotHashed` says so, in clear), so the key
goes on opening. It knows no teams: everything goes into one group. A key without a user becomes a member of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from msgspec import UNSET, UnsetType

from tuckshop.domain.keys import digest_of
from tuckshop.services.shapes.groups import NewGroup
from tuckshop.services.shapes.takeover import TakenKey, TakenMember
from tuckshop.services.takeover import export
from tuckshop.services.takeover.export import Carried, ExportError, Row

_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_TTL: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|m(?!s)|s|ms|us|µs|ns)")
_SECONDS: Final = {"h": 3_600, "m": 60, "s": 1}
_WINDOWS: Final = {"mo": "month", "d": "day", "h": "hour", "m": "minute", "s": "second"}
_LEFT: Final = {
    "policy_id": "policies of its own (deny-lists, personal data)",
    "should_log_request": "keeping requests",
    "should_log_response": "keeping answers",
    "rotation_enabled": "rotation by the clock",
}


def read(rows: Iterable[Row], *, group: str) -> Carried:
    """
    What BricksLLM's rows say, in our words.

    Args:
        group: The group of all of it.
    Raises:
        ExportError: A row is not one of BricksLLM's.
    """
    found = Carried("bricksllm")
    found.groups[group] = NewGroup(name=group)
    keys: list[dict[str, Any]] = []
    user_of: dict[str, str] = {}
    for row in (_snake(one) for one in rows):
        if row.get("key_id") or "key" in row:
            keys.append(row)
        elif row.get("id") and ("key_ids" in row or "name" in row):
            user_of |= dict.fromkeys(export.texts(row.get("key_ids")), str(row["id"]))
            _user(found, row, group)
        else:
            raise ExportError("holds a row that is neither a key nor a user of BricksLLM")
    for row in keys:
        _key(found, row, group, user_of)
    return found


def _user(found: Carried, row: Row, group: str) -> None:
    user_id = str(row["id"])
    whose = f"user {user_id}"
    if row.get("ttl"):
        found.leave("ttl", whose, "members do not expire: pause them, or let their keys expire")
    if row.get("tags"):
        found.leave("tags", whose, "members have no tags")
    found.members[group, user_id] = TakenMember(
        group=group,
        external_id=user_id,
        name=_text(row.get("name")),
        limits=_limits(found, whose, row),
        models=export.models(export.texts(row.get("allowed_models"))) or None,
        endpoints=_endpoints(found, whose, row),
        state="paused" if row.get("revoked") else "active",
    )


def _key(found: Carried, row: Row, group: str, user_of: Mapping[str, str]) -> None:
    key_id = str(row.get("key_id") or "")
    label = str(row.get("name") or key_id)
    whose = f"key {label}"
    secret = str(row.get("key") or "")
    is_clear = row.get("is_key_not_hashed") is True
    digest = digest_of(secret).hex() if is_clear and secret else export.digest(secret)
    if digest is None:
        found.leave("key", label, "it is no SHA-256, so its secret cannot be known again")
        return
    external_id = user_of.get(key_id, key_id or label)
    if (group, external_id) not in found.members:
        found.members[group, external_id] = TakenMember(
            group=group, external_id=external_id, name=_text(row.get("name"))
        )
    state: Literal["active", "revoked"] = "revoked" if row.get("revoked") else "active"
    if state == "revoked" and row.get("revoked_reason"):
        found.leave("revoked_reason", whose, "why a key was revoked")
    found.keys[digest] = TakenKey(
        group=group,
        external_id=external_id,
        digest=digest,
        last4=secret[-4:] if is_clear else "",
        name=_text(row.get("name")),
        limits=_limits(found, whose, row),
        endpoints=_endpoints(found, whose, row),
        tags=export.texts(row.get("tags"))[:20],
        expires_at=_expiry(row),
        state=state,
    )
    for field, reason in _LEFT.items():
        if row.get(field):
            found.leave(field, whose, reason)


def _limits(found: Carried, whose: str, row: Row) -> list[str]:
    """What *row* limits. There 0 means no limit."""
    limits: list[str] = []
    if total := export.decimal(row.get("cost_limit_in_usd")):
        limits.append(f"{export.usd(total)} total")
        found.leave("spend", whose, "what was spent of its budget, which the export does not hold")
    for field, unit, words in (
        ("cost_limit_in_usd_over_time", "cost_limit_in_usd_unit", None),
        ("rate_limit_over_time", "rate_limit_unit", "requests"),
    ):
        if not (most := export.decimal(row.get(field))):
            continue
        window = _WINDOWS.get(str(row.get(unit) or ""))
        if window is None:
            found.leave(
                unit,
                whose,
                f"{row.get(unit)!r} is no window: nothing may be spent, until it is set",
            )
            limits.append("$0 total")
        else:
            amount = export.usd(most) if words is None else f"{int(most)} {words}"
            limits.append(f"{amount}/{window}")
    return limits


def _endpoints(found: Carried, whose: str, row: Row) -> list[str] | UnsetType | None:
    paths = row.get("allowed_paths")
    if not isinstance(paths, list) or not paths:
        return UNSET
    groups: dict[str, None] = {}
    for one in paths:
        path = str(export.mapping(one).get("path") or "")
        group = export.endpoint_of(path)
        if group is None:
            found.leave("allowed_paths", whose, f"{path} is no path of the models here")
        else:
            groups[group] = None
    return list(groups)


def _expiry(row: Row) -> datetime | UnsetType:
    """Its beginning and the stretch it lives, both as Go writes them."""
    text = str(row.get("ttl") or "")
    length_s = sum(
        (Decimal(number) * _SECONDS.get(unit, 0) for number, unit in _TTL.findall(text)), Decimal(0)
    )
    if not length_s:
        return UNSET
    born = export.decimal(row.get("created_at")) or Decimal(0)
    return datetime.fromtimestamp(int(born), UTC) + timedelta(seconds=int(length_s))


def _snake(row: Row) -> dict[str, Any]:
    """*row* by the names of the table's columns, whichever way it was exported."""
    return {_CAPITAL.sub(r"_\1", name).lower(): value for name, value in row.items()}


def _text(value: object) -> str | UnsetType:
    return str(value) if value else UNSET
