"""docs/reference/mock-upstream.md lists what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tuckshop.mock_upstream.control import serve_control
from tuckshop.mock_upstream.faults import FAULTS
from tuckshop.mock_upstream.markers import MARKERS
from tuckshop.mock_upstream.scripting import MOCK_MODELS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "mock-upstream.md"


def listed(heading: str) -> dict[str, str]:
    """Name → sentence of the table with *heading* on the page."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition(f"| {heading} | |\n| --- | --- |\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "there_is"),
    [
        ("fault", {name: fault.sentence for name, fault in FAULTS.items()}),
        ("marker", MARKERS),
        ("model", MOCK_MODELS),
    ],
)
def test_the_manual_lists_what_there_is(heading: str, there_is: dict[str, str]) -> None:
    assert listed(heading) == dict(there_is)


def test_the_manual_tells_every_call_of_the_side_door() -> None:
    told = set(re.findall(r"/_mock/([a-z]+)", PAGE.read_text(encoding="utf-8")))
    assert serve_control.__doc__ is not None
    assert told == set(
        re.findall(r"\b(state|next|release|fault|redirected)\b", serve_control.__doc__)
    )
