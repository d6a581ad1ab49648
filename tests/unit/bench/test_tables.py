"""Tables from figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import tables
from bench.cases import EVENTS
from bench.figures import Figure, group_of, load, save


def test_a_table_tells_figures_multiple_and_verdict() -> None:
    figures = [
        Figure("event-200", "nginx", 20),
        Figure("event-200", "tuckshop", 28),
        Figure("event-1000", "nginx", 20),
        Figure("event-1000", "tuckshop", 50.04),
    ]

    lines = tables.table(EVENTS, group_of(figures, "3 rounds of 4 s")).splitlines()

    assert lines[0] == "| case | unit | nginx | tuckshop | times nginx | target |"
    assert lines[2] == (
        "| SSE event, 200 streams | µs CPU | 20.0 | 28.0 | 1.40 | ≤ 1.5 times nginx: met |"
    )
    assert lines[3].endswith("| 50.0 | 2.50 | ≤ 1.5 times nginx: **missed** |")
    assert lines[-1].endswith("3 rounds of 4 s.")


def test_a_page_is_filled_between_its_markers_only_and_twice_is_once() -> None:
    page = "before\n<!-- figures: events -->\nold\n<!-- end of figures -->\nafter\n"

    filled = tables.filled(page, {})

    assert filled.startswith("before\n<!-- figures: events -->\n\nNot measured yet.\n")
    assert filled.endswith("<!-- end of figures -->\nafter\n")
    assert tables.filled(filled, {}) == filled


def test_a_marker_that_nothing_fills_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        tables.filled("<!-- figures: nonsense -->\n<!-- end of figures -->", {})


def test_figures_are_kept_and_read(tmp_path: Path) -> None:
    groups = {"events": group_of([Figure("event-200", "nginx", 19.87654)], "1 round")}
    file = tmp_path / "figures.json"

    save(groups, file)

    assert load(file) == groups
    assert load(file)["events"].get("event-200", "nginx") == 19.88
    assert load(tmp_path / "none.json") == {}
