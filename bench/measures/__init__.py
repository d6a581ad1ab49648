"""What is measured: a module for each kind of question, a function that yields the figures of one or two tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from bench.figures import Figure
from bench.measures.admission import admission
from bench.measures.bodies import bodies
from bench.measures.comparison import events, requests
from bench.measures.crowd import crowd
from bench.measures.growth import growth
from bench.measures.latency import latency
from bench.measures.log import log
from bench.measures.run import Run
from bench.measures.staff import staff


class Measure(NamedTuple):
    """How to get the figures of some tables."""

    function: Callable[[Run], Iterator[Figure]]
    tables: tuple[str, ...]


MEASURES: Final[Mapping[str, Measure]] = {
    "admission": Measure(admission, ("admission",)),
    "requests": Measure(requests, ("requests",)),
    "events": Measure(events, ("events",)),
    "latency": Measure(latency, ("latency",)),
    "crowd": Measure(crowd, ("crowd", "disk")),
    "bodies": Measure(bodies, ("bodies",)),
    "growth": Measure(growth, ("growth",)),
    "staff": Measure(staff, ("staff",)),
    "log": Measure(log, ("log",)),
}
