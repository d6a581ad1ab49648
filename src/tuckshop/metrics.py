"""
What `GET /metrics` tells, in Prometheus' text: sums of the whole server, no names, keys or anybody's limits (K17).

Counting is adding to a dictionary: labels are looked up when somebody asks, never per call, and nothing is done per
event of a stream. Each number is changed by one thread alone, the loop or the writer's, and read by the loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, get_args

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from tuckshop.charge_watch import Sums
from tuckshop.domain.errors import RefusalError
from tuckshop.domain.watch import Alarm, Asked, Ended, Moderated
from tuckshop.keeping.writer_thread import Dropped
from tuckshop.mailing.sender import Counted

BATCH_BOUNDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000)
SECONDS_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

Read = Callable[[], float]

# Name → what it tells, of the gauges that are read off the running server.
GAUGES: Final[Mapping[str, str]] = {
    "tuckshop_ready": "1 while calls are admitted",
    "tuckshop_connections": "client connections that are open",
    "tuckshop_in_flight": "requests being served, admin calls too",
    "tuckshop_relaying": "calls at an upstream, with or without a client",
    "tuckshop_open_reservations": "calls for which something is held",
    "tuckshop_waiting": "calls that wait for held amounts",
    "tuckshop_writer_queue": "submissions that the writer has not taken yet",
    "tuckshop_buffered_body_bytes": "request bodies in memory",
    "tuckshop_kept_body_bytes": "bodies in memory that are to be kept, or may be",
    "tuckshop_disk_free_bytes": "space left where the ledger lies",
    "tuckshop_tasks": "tasks of the event loop that have not ended",
    "tuckshop_upstream_connections": "connections to upstreams that stand, idle ones too",
    "tuckshop_upstream_idle_connections": "those of them that wait to be used again",
    "tuckshop_upstream_dialling": "connections to upstreams being made",
}


class _Histogram:
    """Counts observations by upper bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self, name: str, told: str) -> HistogramMetricFamily:
        total, buckets = 0, []
        for bound, count in zip((*self._bounds, float("inf")), tuple(self._counts), strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), total))
        return HistogramMetricFamily(name, told, buckets=buckets, sum_value=self._sum)


class Metrics:
    """`domain.watch.Watch`, and the page of it."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()  # endpoint group, status
        self._refusals: Counter[str] = Counter(
            {kind.code: 0 for kind in RefusalError.__subclasses__()}
        )
        self._tokens: Counter[tuple[str, str]] = Counter()  # model, kind
        self._cost: Counter[str] = Counter()
        self._alarms: Counter[str] = Counter(dict.fromkeys(get_args(Alarm), 0))
        self._mails: Counter[str] = Counter(dict.fromkeys(get_args(Counted), 0))
        self._bodies_kept = 0
        self._bodies_dropped: Counter[str] = Counter(dict.fromkeys(get_args(Dropped), 0))
        self._moderated: Counter[str] = Counter(dict.fromkeys(get_args(Moderated), 0))
        self._asked: Counter[str] = Counter(dict.fromkeys(get_args(Asked), 0))
        self._dispatched = 0
        self._charges = Sums()  # but for those dispatched, which the loop counts
        self._batch = _Histogram(BATCH_BOUNDS)
        self._seconds = _Histogram(SECONDS_BOUNDS)
        self._gauges: dict[str, Read] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    # ── counting ──────────────────────────────────────────────────────────────────────────────────────────────

    def dispatched(self) -> None:
        """On the loop."""
        self._dispatched += 1

    def refused(self, code: str) -> None:
        """On the loop."""
        self._refusals[code] += 1

    def ended(self, calls: Sequence[Ended]) -> None:
        """On the writer's thread."""
        _, settled, charged, guessed = self._charges
        for call in calls:
            if call.is_settled and call.model:
                settled += 1
                charged += call.cost_nano > 0
                guessed += call.is_guessed
            status = "none" if call.status is None else str(call.status)
            self._requests[call.endpoint_group, status] += 1
            if call.model and (call.input_tokens or call.output_tokens or call.cost_nano):
                self._tokens[call.model, "input"] += call.input_tokens
                self._tokens[call.model, "cached"] += call.cached_tokens
                self._tokens[call.model, "output"] += call.output_tokens
                self._cost[call.model] += call.cost_nano
        self._charges = Sums(0, settled, charged, guessed)

    def committed(self, size: int, seconds: float) -> None:
        """On the writer's thread."""
        self._batch.observe(size)
        self._seconds.observe(seconds)

    def mailed(self, state: Counted) -> None:
        """On the loop."""
        self._mails[state] += 1

    def bodies_kept(self, count: int) -> None:
        """On the thread that writes bodies."""
        self._bodies_kept += count

    def bodies_dropped(self, why: Dropped, count: int) -> None:
        """Each reason comes from one thread."""
        self._bodies_dropped[why] += count

    def moderated(self, outcome: Moderated) -> None:
        """On the loop."""
        self._moderated[outcome] += 1

    def moderation_asked(self, outcome: Asked) -> None:
        """On the loop."""
        self._asked[outcome] += 1

    def alarm(self, alarm: Alarm, count: int = 1) -> None:
        """Each kind of alarm comes from one thread."""
        self._alarms[alarm] += count

    def alarms(self) -> Mapping[str, int]:
        """How often each alarm was raised since the start."""
        return self._alarms

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────

    def read_gauges(self, reads: Mapping[str, Read]) -> None:
        """Read these gauges, which have to be ones of `GAUGES`, whenever somebody asks."""
        assert reads.keys() <= GAUGES.keys()
        self._gauges.update(reads)

    def charges(self) -> Sums:
        """What calls were charged so far."""
        return self._charges._replace(dispatched=self._dispatched)

    def page(self) -> bytes:
        """The page. On the loop."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The families, as prometheus-client asks for them."""
        yield _counters(
            "tuckshop_requests", "calls that ended, by endpoint group and HTTP status", self._requests,
            "endpoint", "status",
        )  # fmt: skip
        yield _counters("tuckshop_refusals", "calls refused, by code", self._refusals, "code")
        yield _counters(
            "tuckshop_tokens", "tokens charged; cached ones are among the input", self._tokens, "model", "kind"
        )  # fmt: skip
        yield _counters(
            "tuckshop_cost_nano_usd", "charged, in billionths of a US dollar", self._cost, "model"
        )
        yield _counters("tuckshop_alarms", "what somebody should look at", self._alarms, "alarm")
        yield _counters(
            "tuckshop_mails", "mails that were tried, by what came of it", self._mails, "state"
        )
        yield CounterMetricFamily(
            "tuckshop_bodies_kept", "bodies of calls that were written", value=self._bodies_kept
        )
        yield _counters(
            "tuckshop_bodies_dropped", "bodies that were not kept, by reason", self._bodies_dropped, "reason"
        )  # fmt: skip
        yield _counters(
            "tuckshop_moderations", "checks of what is asked or answered, by what came of them", self._moderated,
            "outcome",
        )  # fmt: skip
        yield _counters(
            "tuckshop_moderation_questions",
            "questions to moderation services",
            self._asked,
            "outcome",
        )
        yield self._batch.family("tuckshop_commit_batch_size", "submissions in one commit")
        yield self._seconds.family("tuckshop_commit_seconds", "how long a commit took")
        for name, read in self._gauges.items():
            yield GaugeMetricFamily(name, GAUGES[name], value=read())


def _counters(
    name: str, told: str, counts: Mapping[str, int] | Mapping[tuple[str, str], int], *labels: str
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, told, labels=labels)
    for values, count in list(counts.items()):
        family.add_metric((values,) if isinstance(values, str) else values, count)
    return family
