"""The made-up week, written through the real ledger: all of it counts, and nothing passes a limit."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tuckshop.demo import story
from tuckshop.demo.folder import make_anew
from tuckshop.demo.seed import fill
from tuckshop.domain.keys import digest_of, is_well_formed
from tuckshop.domain.money import NANO_PER_USD

# In the middle of a month, so that all of the week counts in one window.
UNTIL_US = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[str, ...], Path]:
    folder = tmp_path_factory.mktemp("seed") / "demo"
    make_anew(folder)
    classroom = asyncio.run(fill(folder, until_us=UNTIL_US))
    return classroom.keys, folder / "tuckshop.db"


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute(query))


def test_every_call_of_the_story_has_its_row(ledger: tuple[tuple[str, ...], Path]) -> None:
    _, path = ledger

    states = Counter(state for (state,) in _rows(path, "SELECT state FROM requests"))

    told = len(story.week(UNTIL_US))
    # Refusals within a second share a row.
    assert told - 5 <= states.total() <= told
    assert states["settled"] > 0.8 * told
    assert states["voided"] > 0
    assert states["refused"] > 0
    assert states["reserved"] == 0


def test_every_call_lies_in_the_past(ledger: tuple[tuple[str, ...], Path]) -> None:
    _, path = ledger

    ((first, last),) = _rows(path, "SELECT min(admitted_at), max(resolved_at) FROM requests")

    assert isinstance(first, int)
    assert isinstance(last, int)
    assert UNTIL_US - 8 * 86_400_000_000 < first < last < UNTIL_US + 3_600_000_000


def test_nobody_passed_their_budget_and_the_keen_used_it_up(
    ledger: tuple[tuple[str, ...], Path],
) -> None:
    _, path = ledger
    query = (
        "SELECT external_id, sum(cost) FROM requests r JOIN members m ON m.id = r.member_id"
        " WHERE r.state = 'settled' GROUP BY external_id"
    )

    used = {str(who): cost for who, cost in _rows(path, query)}

    budget = NANO_PER_USD // 5
    own = story.external_id(story.ASSISTANT)
    assert all(isinstance(cost, int) and cost <= budget for who, cost in used.items() if who != own)
    for student in story.KEEN:
        cost = used[story.external_id(student)]
        assert isinstance(cost, int)
        assert cost > 0.9 * budget


def test_near_the_end_of_a_budget_answers_are_shorter(
    ledger: tuple[tuple[str, ...], Path],
) -> None:
    _, path = ledger

    flags = {flags for (flags,) in _rows(path, "SELECT DISTINCT flags FROM requests")}

    assert any("clamped" in str(one) for one in flags)
    assert any("client_left" in str(one) for one in flags)


def test_everybody_has_a_key_that_is_kept_only_as_a_digest(
    ledger: tuple[tuple[str, ...], Path],
) -> None:
    keys, path = ledger

    digests = {digest for (digest,) in _rows(path, "SELECT digest FROM keys")}

    assert len(set(keys)) == 30
    assert all(is_well_formed(key) for key in keys)
    assert {digest_of(key) for key in keys} == digests
    assert not any(key.encode() in path.read_bytes() for key in keys)
