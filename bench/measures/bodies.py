"""What it costs a call that its bodies are kept, or that what it asks is checked."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench.cases import TUCKSHOP
from bench.figures import Figure
from bench.measures.comparison import pressed
from bench.measures.run import Run, stage

CONNECTIONS: Final = 32
OFF: Final = "bodies-off"
PURPOSE: Final = "a benchmark"
POLICIES: Final[Mapping[str, dict[str, Any]]] = {
    OFF: {},
    "bodies-flagged": {"logging": {"bodies": "flagged", "purpose": PURPOSE}},
    "bodies-all": {"logging": {"bodies": "all", "purpose": PURPOSE}},
    "checked-log": {"moderation": {"mode": "log"}},
    "checked-block": {"moderation": {"mode": "block"}},
}
TIMES: Final = ("bodies-all", "checked-log")  # that are told beside `OFF`, too
NO_RATE: Final = {"TUCKSHOP_EDGE_MODERATION_PER_MINUTE": "100000000"}


def bodies(run: Run) -> Iterator[Figure]:
    """CPU per plain chat request under each policy, in turn."""
    with stage() as on:
        subjects = {
            case: on.tuckshop(case, keys=run.keys, policy=policy, **NO_RATE)
            for case, policy in POLICIES.items()
        }
        found = pressed(run, on, subjects, CONNECTIONS, varied=True)
        medians = {
            case: statistics.median(one.cpu_us for one in rounds) for case, rounds in found.items()
        }
        for case, value in medians.items():
            yield Figure(case, TUCKSHOP, value)
            if case in TIMES:
                yield Figure(f"{case}-times", TUCKSHOP, value / medians[OFF])
