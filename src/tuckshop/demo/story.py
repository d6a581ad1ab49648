"""
The made-up class and its week, told the same way every time: who calls when, what for, and how it ends.

Pure: a week before a given instant, as a list of calls in order of time. How they are written down is `seed`'s.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from tuckshop.domain.clock import US_PER_SECOND

GROUP: Final = "swa"
TITLE: Final = "Software architecture (made up)"
ZONE: Final = "Europe/Berlin"
EACH: Final = ("$0.20/month", "35 requests/minute", "4 concurrent requests")
SHARED: Final = ("$10/month",)
CHAT: Final = "gpt-4o-mini"
BIG_CHAT: Final = "gpt-4o"
EMBEDDING: Final = "text-embedding-3-small"
MODELS: Final = (CHAT, BIG_CHAT, EMBEDDING)
ENDPOINTS: Final = ("chat", "responses", "embeddings", "moderations", "models")
DAYS: Final = 7

NAMES: Final = (
    *("Ada Brandt", "Amir Haddad", "Anh Nguyen", "Ben Schulz", "Carla Romano", "Chidi Okafor"),
    *("Clara Vogel", "Daniel Weiss", "Deniz Kaya", "Elif Demir", "Emil Larsen", "Farah Aziz"),
    *("Finn Becker", "Greta Lindholm", "Hugo Martin", "Ines Costa", "Jakub Nowak", "Jana Krause"),
    *("Kenji Mori", "Lea Hoffmann", "Luis Ortega", "Marta Silva", "Mina Park", "Noah Fischer"),
    *("Olga Petrova", "Priya Raman", "Samuel Cohen", "Sofia Rossi", "Tom Richter", "Yusuf Yilmaz"),
)
ASSISTANT: Final = 13  # the one with a limit of their own
KEEN: Final = (4, 21)  # use theirs up
SILENT: Final = (8, 16, 28)  # never call
SHOWN: Final = 0  # whose key the demo hands out: with plenty left

Ending = Literal["ok", "left", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the week."""

    at_us: int
    student: int
    model: str
    text_bytes: int
    input_tokens: int
    output_tokens: int  # as long as the answer would be, if nothing cut it
    wanted: int | None  # the cap that the client named
    duration_ms: int
    ending: Ending


def external_id(student: int) -> str:
    """A made-up matriculation number."""
    return f"s{student + 1:02}"


def email(student: int) -> str:
    """A made-up address, under a domain that is nobody's."""
    return f"{NAMES[student].lower().replace(' ', '.')}@example.org"


def week(until_us: int) -> list[Call]:
    """The calls of the seven days before *until_us*, oldest first; nearly the same ones, whenever it is."""
    luck = random.Random(4711)  # noqa: S311 - a story, no secret
    calls = [
        call
        for day in range(DAYS, 0, -1)
        for student in range(len(NAMES))
        for call in _day_of(student, day, until_us, luck)
    ]
    return sorted((call for call in calls if call.at_us < until_us), key=lambda call: call.at_us)


def _day_of(student: int, days_ago: int, until_us: int, luck: random.Random) -> Iterator[Call]:
    if student in SILENT:
        return
    until = datetime.fromtimestamp(until_us // US_PER_SECOND, UTC).astimezone(ZoneInfo(ZONE))
    morning = (until - timedelta(days=days_ago - 1)).replace(hour=0, minute=0, second=0)
    # The exercise is due the day before today: that is when people work.
    busy = 2.2 if days_ago == 2 else 1.0
    for _ in range(_how_many(student, busy, luck)):
        at = morning + timedelta(hours=min(23.5, max(7.0, luck.gauss(16, 4))))
        yield _call(student, int(at.timestamp() * US_PER_SECOND) + luck.randrange(1_000_000), luck)


def _how_many(student: int, busy: float, luck: random.Random) -> int:
    if student in KEEN:
        return 5
    if luck.random() < 0.4:
        return 0  # a day off
    return int(luck.expovariate(1 / (2 * busy))) + (2 if student == ASSISTANT else 0)


def _call(student: int, at_us: int, luck: random.Random) -> Call:
    kind = luck.random()
    text_bytes = int(luck.lognormvariate(6.5, 0.8))
    if kind < 0.12 and student not in KEEN:
        return Call(
            at_us=at_us,
            student=student,
            model=EMBEDDING,
            text_bytes=text_bytes * 4,
            input_tokens=text_bytes,
            output_tokens=0,
            wanted=None,
            duration_ms=luck.randrange(80, 400),
            ending="ok",
        )
    is_big = student in KEEN or kind > 0.7
    output_tokens = int(luck.lognormvariate(5.9, 0.7)) * (2 if student in KEEN else 1)
    fate = luck.random()
    ending: Ending = "failed" if fate > 0.985 else "left" if fate > 0.96 else "ok"
    return Call(
        at_us=at_us,
        student=student,
        model=BIG_CHAT if is_big else CHAT,
        text_bytes=text_bytes,
        input_tokens=max(12, text_bytes // 4),
        output_tokens=output_tokens,
        wanted=luck.choice((None, None, 500, 1000)) if student not in KEEN else None,
        duration_ms=600 + output_tokens * 12,
        ending=ending,
    )
