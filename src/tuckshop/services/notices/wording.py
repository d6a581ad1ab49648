"""How people are told of events: a line for each, in English and German; ids and numbers, never names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.money import format_usd, parse_usd
from tuckshop.domain.notices import NoticeKind
from tuckshop.mailing.policy import Language
from tuckshop.services.notices.payload import facts_of

LINES_MAX: Final = 30  # in one mail

# By kind: what the subject says, and a line with the facts of one event.
_ENGLISH: Final[Mapping[NoticeKind, tuple[str, str]]] = {
    "flag": ("flagged contents", "{member}: flagged ({reasons}; {action}), {flag}"),
    "strike": (
        "paused for what was flagged",
        "{member}: {paused} paused, {contents} contents within {days} days",
    ),
    "appeal": ("somebody asks to look again", "{member}: asks to look at {flag} again"),
    "member_budget": (
        "a member's budget",
        "{member}: {percent} % of {limit} is used, {used_usd} of {amount_usd}",
    ),
    "shared_budget": (
        "the shared budget",
        "{percent} % of {limit} is used, {used_usd} of {amount_usd}; renews {resets_at}",
    ),
    "upstream_refused": (
        "the provider refuses us",
        "the upstream {upstream} refuses us: {reason}",
    ),
    "revoked_key_used": (
        "a revoked key is used",
        "{key} of {member} was revoked, and somebody calls with it: {request}",
    ),
    "unusual_spend": (
        "unusual spend",
        "{key} of {member}: {spent_usd} within an hour, {usual_usd} is usual",
    ),
    "alarm": ("an alarm", "{alarm}: {count} times"),
    "webhook_paused": ("a webhook is paused", "{webhook} has taken nothing for {days} days"),
}
_GERMAN: Final[Mapping[NoticeKind, tuple[str, str]]] = {
    "flag": ("beanstandete Inhalte", "{member}: beanstandet ({reasons}; {action}), {flag}"),
    "strike": (
        "gesperrt nach Beanstandungen",
        "{member}: {paused} gesperrt, {contents} Inhalte in {days} Tagen",
    ),
    "appeal": ("jemand bittet um Prüfung", "{member}: bittet, {flag} noch einmal anzusehen"),
    "member_budget": (
        "Budget eines Mitglieds",
        "{member}: {percent} % von {limit} sind verbraucht, {used_usd} von {amount_usd}",
    ),
    "shared_budget": (
        "das gemeinsame Budget",
        "{percent} % von {limit} sind verbraucht, {used_usd} von {amount_usd}; neu {resets_at}",
    ),
    "upstream_refused": (
        "der Anbieter weist uns ab",
        "der Zugang {upstream} weist uns ab: {reason}",
    ),
    "revoked_key_used": (
        "ein widerrufener Schlüssel wird benutzt",
        "{key} von {member} ist widerrufen, und jemand ruft damit auf: {request}",
    ),
    "unusual_spend": (
        "ungewöhnliche Ausgaben",
        "{key} von {member}: {spent_usd} in einer Stunde, üblich sind {usual_usd}",
    ),
    "alarm": ("ein Alarm", "{alarm}: {count} Mal"),
    "webhook_paused": (
        "ein Webhook ist angehalten",
        "{webhook} hat {days} Tage lang nichts angenommen",
    ),
}
_WORDS: Final[Mapping[Language, Mapping[NoticeKind, tuple[str, str]]]] = {
    "en": _ENGLISH,
    "de": _GERMAN,
}
_MORE: Final[Mapping[Language, str]] = {"en": "… and {} more", "de": "… und {} weitere"}


class _Facts(dict[str, str]):
    """What an event says; what it does not say is a dash."""

    def __missing__(self, name: str) -> str:
        return "-"


def subject_of(rows: Sequence[Mapping[str, Any]], language: Language) -> str:
    """What a mail about these rows of `notices`, which are of one kind, is about."""
    what, _ = _WORDS[language][rows[0]["kind"]]
    return what if len(rows) == 1 else f"{what} ({len(rows)})"


def lines_of(rows: Sequence[Mapping[str, Any]], language: Language, zone: str) -> str:
    """A line for each of these rows of `notices`, the last ones counted where they are many."""
    shown = [
        f"- {_time(row['at'], zone)}  "
        + _WORDS[language][row["kind"]][1].format_map(shown_facts(row))
        for row in rows[:LINES_MAX]
    ]
    if len(rows) > LINES_MAX:
        shown.append(_MORE[language].format(len(rows) - LINES_MAX))
    return "\n".join(shown)


def shown_facts(row: Mapping[str, Any]) -> Mapping[str, str]:
    """What a row of `notices` says, each as people read it."""
    found = _Facts(
        {name: row[f"{name}_id"] or "-" for name in ("group", "member", "key", "request")}
    )
    for name, value in facts_of(row).items():
        if value is None:
            continue
        if name.endswith("_usd"):
            found[name] = format_usd(parse_usd(f"{Decimal(value):f}"))
        else:
            found[name] = str(value)
    return found


def _time(at_us: int, zone: str) -> str:
    at = datetime.fromtimestamp(at_us // US_PER_SECOND, UTC).astimezone(ZoneInfo(zone))
    return f"{at:%Y-%m-%d %H:%M}"
