"""
The worst case in money: the most that the members of a group can spend in each window, and the sentence that says it.

A bound is only told where it is proven. A limit bounds a member where it holds for all their calls, or where limits
on models hold together for every model that the member may use. What each member can spend is added up; what they
share bounds the sum. A limit of a longer window bounds the shorter ones that lie wholly in it: in no month can be
spent more than in all. A reset, which begins a running window again, and grants
to come are not foreseen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tuckshop.domain.globs import matches
from tuckshop.domain.limits import Limit, Metric, Rolling, Window, window_key
from tuckshop.domain.money import price_tag
from tuckshop.domain.windows import ZoneHistory, span_at
from tuckshop.domain.wording import counted

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
# Which calendar windows lie wholly in which. A week may lie in two months and in two years.
_WITHIN: Final[Mapping[str, frozenset[str]]] = {
    "day": frozenset({"week", "month", "year"}),
    "month": frozenset({"year"}),
}
_ORDER: Final[Mapping[str, float]] = {
    "day": 86_400,
    "week": 7 * 86_400,
    "month": 30.5 * 86_400,
    "year": 365.25 * 86_400,
    "total": float("inf"),
}
_PHRASES: Final[Mapping[str, str]] = {
    "day": "a day",
    "week": "a week",
    "month": "a month",
    "year": "a year",
    "total": "in all",
}


@dataclass(frozen=True, slots=True)
class OwnTerms:
    """What is set on a member: limits of their own, and models."""

    limits: tuple[Limit, ...] = ()
    models: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTerms:
    """
    What holds for all members of a group.

    `above` are limits of the workspace, of those windows alone that are the group's too: a month of another zone is
    another month.
    """

    each: tuple[Limit, ...]
    shared: tuple[Limit, ...]
    above: tuple[Limit, ...] = ()
    model_lists: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """In one *window* at most *amount* nano-USD."""

    window: Window
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """The most that *members* can spend together; of none, what one could. Shorter windows come first."""

    members: int
    bounds: tuple[Bound, ...]  # empty: without end
    is_partly_limited: bool  # there are limits on money, but none that holds for all calls


def worst_case(terms: GroupTerms, members: Mapping[OwnTerms, int]) -> WorstCase:
    """
    What *members* can spend at worst.

    Args:
        members: How many have the same terms of their own.
    """
    count = sum(members.values())
    people = members if count else {OwnTerms(): 1}
    limits = [
        *terms.each,
        *terms.shared,
        *terms.above,
        *(one for own in people for one in own.limits),
    ]
    money = [limit for limit in limits if limit.metric is Metric.MONEY]
    windows = {window_key(limit.window): limit.window for limit in money}
    found = [
        Bound(window=window, amount=amount)
        for window in windows.values()
        if (amount := _most_of_all(terms, people, window)) is not None
    ]
    kept = [one for one in found if not any(_is_said_by(one, other) for other in found)]
    return WorstCase(
        members=count,
        bounds=tuple(sorted(kept, key=lambda bound: _order(bound.window))),
        is_partly_limited=bool(money) and not kept,
    )


def sentence(case: WorstCase, zone: ZoneHistory, now_us: int) -> str:
    """``100 members: at most $20.00 a month; renews 1 Dec 00:00 Europe/Berlin``."""
    who = counted(case.members, "member")
    if not case.bounds:
        what = (
            "no limit on money holds for all calls"
            if case.is_partly_limited
            else "no limit on money"
        )
        return f"{who if case.members else 'No members yet'}: {what}, so they can spend without end"
    lead = f"{who}: at most " if case.members else "No members yet; one could spend at most "
    ends = [renews_at_us(bound.window, zone, now_us) for bound in case.bounds]
    amounts = [f"{price_tag(bound.amount)} {_phrase(bound.window)}" for bound in case.bounds]
    renewing = [end for end in ends if end is not None]
    if not renewing:
        return lead + _listed(amounts)
    if len(amounts) == 1:
        return f"{lead}{amounts[0]}; renews {_local(renewing[0], zone, now_us)} {zone.current}"
    timed = [
        amount if end is None else f"{amount} (renews {_local(end, zone, now_us)})"
        for amount, end in zip(amounts, ends, strict=True)
    ]
    return f"{lead}{_listed(timed)}; times are those of {zone.current}"


def renews_at_us(window: Window, zone: ZoneHistory, now_us: int) -> int | None:
    """When a calendar window starts afresh; None: never, or bit by bit."""
    if isinstance(window, Rolling) or window == "now":
        return None
    return span_at(window, now_us, zone).end_us


def window_text(window: Window) -> str:
    """A window as a limit writes it: ``month``, ``5 hours``, ``total``."""
    return window.text if isinstance(window, Rolling) else window


def _most_of_all(terms: GroupTerms, people: Mapping[OwnTerms, int], window: Window) -> int | None:
    """The most that all can spend in one *window*; None: nothing bounds it."""
    bounds = [_most((*terms.shared, *terms.above), window, terms.model_lists)]
    total: int | None = 0
    for own, count in people.items():
        own_kinds = {limit.kind for limit in own.limits}
        limits = (*own.limits, *(one for one in terms.each if one.kind not in own_kinds))
        lists = terms.model_lists if own.models is None else (*terms.model_lists, own.models)
        most = _most(limits, window, lists)
        total = None if total is None or most is None else total + most * count
    return min((one for one in (*bounds, total) if one is not None), default=None)


def _most(
    limits: Iterable[Limit], window: Window, model_lists: Iterable[Sequence[str]]
) -> int | None:
    """The most that calls which take from all of *limits* can cost in one *window*."""
    holding = [one for one in limits if one.metric is Metric.MONEY and _bounds(one.window, window)]
    whole = [one.amount for one in holding if not one.selector.canonical]
    parts = [one for one in holding if one.selector.canonical]
    covered = [most for names in model_lists if (most := _covered(names, parts)) is not None]
    return min((*whole, *covered), default=None)


def _covered(names: Sequence[str], parts: Sequence[Limit]) -> int | None:
    """The sum of limits on models that hold, between them, for all of *names*; None: not for all."""
    chosen: set[Limit] = set()
    for name in names:
        # Only a "*" covers a "*", so what covers the text of a glob covers all its names.
        over = [one for one in parts if any(matches(glob, name) for glob in one.selector.models)]
        if not over:
            return None
        chosen.add(min(over, key=lambda limit: limit.amount))
    return sum(limit.amount for limit in chosen)


def _bounds(long: Window, short: Window) -> bool:
    """Whether every *short* window lies wholly in one that is *long*."""
    if long == "total" or window_key(long) == window_key(short):
        return True
    if isinstance(long, Rolling):
        return isinstance(short, Rolling) and short.seconds <= long.seconds
    return not isinstance(short, Rolling) and long in _WITHIN.get(short, ())


def _is_said_by(bound: Bound, other: Bound) -> bool:
    """Whether *other* says as much about a longer window."""
    return (
        window_key(bound.window) != window_key(other.window)
        and _bounds(other.window, bound.window)
        and other.amount <= bound.amount
    )


def _order(window: Window) -> float:
    return window.seconds if isinstance(window, Rolling) else _ORDER[window]


def _phrase(window: Window) -> str:
    return f"in any {window.text}" if isinstance(window, Rolling) else _PHRASES[window]


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _local(at_us: int, zone: ZoneHistory, now_us: int) -> str:
    """An instant on the clocks of the group; its year only where it is not this one."""
    at, now = (
        (_EPOCH + timedelta(microseconds=us)).astimezone(ZoneInfo(zone.current))
        for us in (at_us, now_us)
    )
    year = "" if at.year == now.year else f" {at.year}"
    return f"{at.day} {MONTHS[at.month - 1]}{year} {at:%H:%M}"
