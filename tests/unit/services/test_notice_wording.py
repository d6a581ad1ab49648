"""How people are told of events, in both languages."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from tuckshop.domain.notices import NOTICE_KINDS
from tuckshop.mailing.policy import Language
from tuckshop.services.notices.wording import LINES_MAX, lines_of, subject_of

LANGUAGES: tuple[Language, ...] = get_args(Language)


def row(kind: str, facts: str = "{}", **ids: str) -> dict[str, Any]:
    named = {f"{name}_id": ids.get(name) for name in ("group", "member", "key", "request")}
    return {"kind": kind, "at": 1_795_500_000_000_000, "facts": facts, **named}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", NOTICE_KINDS)
def test_every_kind_has_words_whatever_an_event_leaves_out(kind: str, language: Language) -> None:
    (line,) = lines_of([row(kind)], language, "UTC").splitlines()

    assert line.startswith("- 2026-11-24 06:00  ")
    assert "{" not in line
    assert subject_of([row(kind)], language)


def test_amounts_and_times_are_as_people_write_them() -> None:
    facts = '{"limit":"$2/month","percent":80,"used_usd":1.6,"amount_usd":2,"resets_at":null}'
    told = row("member_budget", facts, member="mem_1")

    assert lines_of([told], "en", "Europe/Berlin") == (
        "- 2026-11-24 07:00  mem_1: 80 % of $2/month is used, $1.60 of $2"
    )
    assert "mem_1: 80 % von $2/month sind verbraucht" in lines_of([told], "de", "UTC")


def test_many_are_counted() -> None:
    rows = [row("flag", member=f"mem_{number}") for number in range(LINES_MAX + 12)]

    lines = lines_of(rows, "de", "UTC").splitlines()

    assert (len(lines), lines[-1]) == (LINES_MAX + 1, "… und 12 weitere")
    assert subject_of(rows, "en") == f"flagged contents ({LINES_MAX + 12})"
