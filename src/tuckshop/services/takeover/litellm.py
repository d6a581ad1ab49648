"""
LiteLLM's exports: `/key/list?return_full_object=true`, `/team/list`, `/user/list`, or its tables as CSV.

It keeps a key as the hexadecimal SHA-256 of its secret, which is what is kept here, so the key goes on opening. Teams
become groups and their limits shared ones; a user becomes a member of each of their teams. Its "30d" is the calendar
month, "7d" the week from Monday, "1d" the day (its page on budget reset times), so they are the same windows here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import UNSET, UnsetType

from tuckshop.services.shapes.groups import NewGroup
from tuckshop.services.shapes.takeover import TakenKey, TakenMember
from tuckshop.services.takeover import export
from tuckshop.services.takeover.export import Carried, ExportError, Row

_DURATION: Final = re.compile(r"([0-9]+)(mo|[smhdw])")
_UNITS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_CALENDAR: Final = {
    **{"1d": "day", "24h": "day", "7d": "week", "1w": "week", "30d": "month", "1mo": "month"},
    **{"daily": "day", "weekly": "week", "monthly": "month"},
}
_MASKED: Final = re.compile(r"\.\.\.([!-~]{1,4})$")
_ANY_MODEL: Final = frozenset({"all-team-models", "all-proxy-models", "*"})
_NO_MODEL: Final = "no-default-models"
# Fields with an effect there that have none here.
_LEFT: Final = {
    "aliases": "model aliases: clients have to ask for the model itself",
    "config": "a configuration of its own",
    "permissions": "permissions of its own",
    "guardrails": "guardrails",
    "policies": "policies of its own",
    "router_settings": "routing of its own",
    "object_permission_id": "permissions on tools and stores",
    "organization_id": "organizations: their budgets bind nobody here",
    "project_id": "projects: their budgets bind nobody here",
    "agent_id": "agents",
    "access_group_ids": "access groups: list the models instead",
    "soft_budget": "a budget that only warns",
    "auto_rotate": "rotation by the clock",
    "budget_limits": "several budgets in one field: write them as limits",
}
_METADATA: Final = frozenset({"tags", "model_rpm_limit", "model_tpm_limit"})


def read(rows: Iterable[Row], *, group: str) -> Carried:
    """
    What LiteLLM's rows say, in our words.

    Args:
        group: The group of what belongs to no team.
    Raises:
        ExportError: A row is not one of LiteLLM's.
    """
    found = Carried("litellm")
    kinds: dict[str, list[Row]] = {"key": [], "team": [], "user": []}
    for row in rows:
        kinds[_kind_of(row)].append(row)
    users = {str(row["user_id"]): row for row in kinds["user"]}
    names = _team_names(kinds["team"])
    for row in kinds["team"]:
        _team(found, row, names[str(row["team_id"])], users)
    for row in kinds["key"]:
        _key(found, row, names, users, group)
    known = {external_id for _, external_id in found.members}
    for user_id, row in users.items():
        _user(found, row, names, users, group, is_known=user_id in known)
    if any(name == group for name, _ in found.members) and group not in found.groups:
        found.groups[group] = NewGroup(name=group)
    return found


def _kind_of(row: Row) -> str:
    if "token" in row or "key_name" in row:
        return "key"
    if row.get("team_id") and ("team_alias" in row or "members_with_roles" in row):
        return "team"
    if row.get("user_id"):
        return "user"
    raise ExportError("holds a row that is neither a key nor a team nor a user of LiteLLM")


def _team_names(teams: Sequence[Row]) -> dict[str, str]:
    """Team id → the group's name; of two that would have the same, the second says which it is."""
    names: dict[str, str] = {}
    for row in sorted(teams, key=lambda row: str(row["team_id"])):
        team_id = str(row["team_id"])
        name = export.group_name(str(row.get("team_alias") or team_id))
        if name in names.values():
            name = f"{name[:56]}-{hashlib.sha256(team_id.encode()).hexdigest()[:6]}"
        names[team_id] = name
    return names


def _team(found: Carried, row: Row, name: str, users: dict[str, Row]) -> None:
    found.groups[name] = NewGroup(
        name=name,
        title=str(row.get("team_alias") or ""),
        shared=_limits(found, f"team {name}", row),
        models=_models(row),
        state="paused" if row.get("blocked") else "active",
    )
    _leave(found, f"team {name}", row)
    for one in _roster(row):
        external_id = str(one.get("user_id") or one.get("user_email") or "")
        if not external_id:
            continue
        if one.get("role") == "admin":
            found.leave("role", f"{name}/{external_id}", "team admins: give them a staff token")
        _member(found, name, external_id, users, email=one.get("user_email"))
    for one in row.get("team_memberships") or ():
        budget = export.mapping(one.get("litellm_budget_table"))
        external_id = str(one.get("user_id") or "")
        if budget and external_id:
            whose = f"{name}/{external_id}"
            limits = _limits(found, whose, {**budget, "spend": one.get("spend")})
            _member(found, name, external_id, users, limits=limits)


def _roster(row: Row) -> list[Row]:
    people = row.get("members_with_roles")
    if not isinstance(people, list) or not people:
        people = [{"user_id": one} for one in export.texts(row.get("members"))]
    return [one for one in people if isinstance(one, dict)]


def _user(
    found: Carried,
    row: Row,
    names: dict[str, str],
    users: dict[str, Row],
    group: str,
    *,
    is_known: bool,
) -> None:
    user_id = str(row["user_id"])
    teams = [names[team] for team in export.texts(row.get("teams")) if team in names]
    for name in teams:
        _member(found, name, user_id, users)
    if (group, user_id) in found.members or not (teams or is_known):
        limits = _limits(found, f"user {user_id}", row)
        _member(found, group, user_id, users, limits=limits, models=_models(row))
    elif row.get("max_budget") is not None:
        found.leave(
            "max_budget",
            f"user {user_id}",
            "a user's own budget, which binds no key of a team there either",
        )
    if str(row.get("user_role") or "").startswith(("proxy_admin", "org_admin")):
        found.leave("user_role", f"user {user_id}", "staff: give them a staff token")


def _member(
    found: Carried,
    group: str,
    external_id: str,
    users: dict[str, Row],
    *,
    email: object = None,
    limits: list[str] | UnsetType = UNSET,
    models: list[str] | UnsetType | None = UNSET,
) -> None:
    """Put a member in, or add to what is known of one."""
    user = users.get(external_id, {})
    before = found.members.get((group, external_id))
    found.members[group, external_id] = TakenMember(
        group=group,
        external_id=external_id,
        name=_text(user.get("user_alias")),
        email=_text(user.get("user_email") or email) or (before.email if before else UNSET),
        limits=limits if limits or before is None else before.limits,
        models=models if models is not UNSET or before is None else before.models,
    )


def _key(
    found: Carried, row: Row, names: dict[str, str], users: dict[str, Row], group: str
) -> None:
    digest = export.digest(row.get("token"))
    label = str(row.get("key_alias") or row.get("key_name") or (digest or "")[:12])
    whose = f"key {label}"
    team_id = str(row.get("team_id") or "")
    if team_id == "litellm-dashboard":
        found.leave("key", label, "a session of its dashboard")
        return
    if digest is None:
        found.leave("key", label, "its token is no SHA-256, so its secret cannot be known again")
        return
    if team_id and team_id not in names:
        names[team_id] = export.group_name(team_id)
        found.groups[names[team_id]] = NewGroup(name=names[team_id])
        found.leave("team", team_id, "not in the export: its limits have to be set by hand")
    name = names.get(team_id, group)
    external_id = str(row.get("user_id") or label)
    _member(found, name, external_id, users)
    masked = _MASKED.search(str(row.get("key_name") or ""))
    endpoints = _endpoints(found, whose, export.texts(row.get("allowed_routes")))
    found.keys[digest] = TakenKey(
        group=name,
        external_id=external_id,
        digest=digest,
        last4=masked[1] if masked else "",
        name=_text(row.get("key_alias")),
        limits=_limits(found, whose, row),
        models=_models(row),
        endpoints=endpoints,
        tags=export.texts(export.mapping(row.get("metadata")).get("tags"))[:20],
        expires_at=export.instant(row.get("expires")),
        state="paused" if row.get("blocked") else "active",
    )
    _leave(found, whose, row)


def _limits(found: Carried, whose: str, row: Row) -> list[str]:
    """What *row* limits, as limits are written here."""
    budget = {
        **export.mapping(row.get("litellm_budget_table")),
        **{name: value for name, value in row.items() if value is not None},
    }
    if row.get("budget_id") and not row.get("litellm_budget_table"):
        found.leave("budget_id", whose, "a budget that is kept apart and not in the export")
    limits = _money(
        found, whose, budget.get("max_budget"), budget.get("budget_duration"), budget.get("spend")
    )
    metadata = export.mapping(row.get("metadata"))
    for field, words in (("rpm_limit", "requests/minute"), ("tpm_limit", "tokens/minute")):
        if (most := export.count(budget.get(field))) is not None:
            limits.append(f"{most} {words}")
        by_model = export.mapping(metadata.get(f"model_{field}") or budget.get(f"model_{field}"))
        limits += [
            f"{export.count(most) or 0} {words} on {model.removeprefix('openai/')}"
            for model, most in by_model.items()
        ]
    if (most := export.count(budget.get("max_parallel_requests"))) is not None:
        limits.append(f"{most} concurrent requests")
    for model, said in export.mapping(budget.get("model_max_budget")).items():
        own = said if isinstance(said, dict) else {"max_budget": said}
        amount = own.get("budget_limit", own.get("max_budget"))
        window = own.get("time_period", own.get("budget_duration"))
        limits += [
            f"{limit} on {model.removeprefix('openai/')}"
            for limit in _money(found, whose, amount, window, None)
        ]
    return limits


def _money(found: Carried, whose: str, amount: Any, duration: Any, spend: Any) -> list[str]:
    most, spent = export.decimal(amount), export.decimal(spend) or Decimal(0)
    if most is None:
        return []
    window = window_of(duration)
    if window is None:
        found.leave(
            "budget_duration", whose, f"{duration!r} is no window here: set the limit by hand"
        )
        return [f"{export.usd(Decimal(0))} total"]  # nothing, rather than everything
    if window == "total":
        # What was spent of a budget that never starts again is gone: only the rest is carried over (M14).
        return [f"{export.usd(most - spent)} total"]
    if spent > 0:
        found.leave("spend", whose, "what was spent in the running window: it begins at 0 here")
    return [f"{export.usd(most)}/{window}"]


def window_of(duration: object) -> str | None:
    """The window here that a budget's duration there means; None: there is none."""
    text = str(duration or "").strip().lower()
    if text in ("", "none", "null"):
        return "total"
    if text in _CALENDAR:
        return _CALENDAR[text]
    parts = _DURATION.fullmatch(text)
    if parts is None or parts[2] == "mo" or not int(parts[1]):
        return None
    number, unit = int(parts[1]), parts[2]
    if unit == "w":
        number, unit = 7 * number, "d"
    return _UNITS[unit] if number == 1 else f"{number} {_UNITS[unit]}s"


def _models(row: Row) -> list[str] | None:
    names = export.texts(row.get("models"))
    if not names or _ANY_MODEL.intersection(names):
        return None
    return export.models([name for name in names if name != _NO_MODEL])


def _endpoints(found: Carried, whose: str, routes: Sequence[str]) -> list[str] | None:
    if not routes or "llm_api_routes" in routes:
        return None
    groups: dict[str, None] = {}
    for route in routes:
        group = export.endpoint_of(route)
        if group is None:
            found.leave("allowed_routes", whose, f"{route} is no path of the models here")
        else:
            groups[group] = None
    return list(groups)


def _leave(found: Carried, whose: str, row: Row) -> None:
    for field, reason in _LEFT.items():
        if row.get(field):
            found.leave(field, whose, reason)
    for field in sorted(set(export.mapping(row.get("metadata"))) - _METADATA):
        found.leave(f"metadata.{field}", whose, "notes of its own")


def _text(value: object) -> str | UnsetType:
    return str(value) if value else UNSET
