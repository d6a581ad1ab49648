"""Every case as data: what it is called, its unit, the most it may be, and the table of the docs that it stands in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RATES: Final = (100, 500)  # calls per second, of the cases at a fixed rate
CONNECTIONS: Final = (1, 32, 256)
STREAMS: Final = (200, 1_000)
LIMITS: Final = (1, 8, 32)
LOG_ROWS: Final = (10_000, 100_000, 1_000_000)

DIRECT, NGINX, TUCKSHOP, PROCESS = "direct", "nginx", "tuckshop", "process"
TITLES: Final = {
    DIRECT: "no proxy",
    NGINX: "nginx",
    TUCKSHOP: "tuckshop",
    PROCESS: "tuckshop, `process`",
    "portkey": "Portkey",
    "litellm": "LiteLLM",
}


@dataclass(frozen=True, slots=True)
class Target:
    """The most that tuckshop's figure may be: as it is, or as a multiple of nginx's."""

    most: float
    is_ratio: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a table."""

    id: str
    title: str
    unit: str
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The cases that one group of measurements fills, and whose figures stand beside each other."""

    name: str
    cases: tuple[Case, ...]
    subjects: tuple[str, ...] = (TUCKSHOP,)


def _counted(number: int) -> str:
    return f"{number:,}"


REQUESTS: Final = Table(
    "requests",
    (
        Case("chat-1", "chat request, 1 connection", "µs CPU"),
        Case("chat-32", "chat request, 32 connections", "µs CPU", Target(6, is_ratio=True)),
        Case("chat-256", "chat request, 256 connections", "µs CPU"),
        Case("rate-256", "chat requests, 256 connections, one core", "per second"),
    ),
    (NGINX, TUCKSHOP, PROCESS),
)
EVENTS: Final = Table(
    "events",
    tuple(
        Case(
            f"event-{n}", f"SSE event, {_counted(n)} streams", "µs CPU", Target(1.5, is_ratio=True)
        )
        for n in STREAMS
    ),
    (NGINX, TUCKSHOP),
)
LATENCY: Final = Table(
    "latency",
    (
        Case("sync-p50", "median of a write of 16 KiB with its sync, on this disk", "ms"),
        *(
            Case(f"{name}-{rate}", title, "ms")
            for rate in RATES
            for name, title in (
                ("added-p50", f"added to the median, {rate} calls/s"),
                ("added-p99", f"added to the 99th percentile, {rate} calls/s"),
                ("whole-p50", f"median of the whole call, {rate} calls/s"),
                ("whole-p99", f"99th percentile of the whole call, {rate} calls/s"),
            )
        ),
    ),
    (DIRECT, NGINX, TUCKSHOP, PROCESS),
)
CROWD: Final = Table(
    "crowd",
    (
        Case("cold-start", "cold start to ready", "s", Target(1.5)),
        Case("rss-idle", "RSS idle", "MB", Target(80)),
        Case("chat-32-crowd", "chat request, 32 connections, a random key of 10,000", "µs CPU"),
        Case("rss-members", "RSS right after 10,000 members were added", "MB"),
        Case("rss-crowd", "RSS, 1,000 streams, 10,000 keys", "MB", Target(120)),
        Case("rss-streams", "RSS that 1,000 streams add to a fresh server with 100 keys", "MB"),
    ),
)
ADMISSION: Final = Table(
    "admission",
    tuple(
        Case(
            f"admission-{n}",
            f"admission of a call, {n} limit{'s' * (n > 1)}",
            "µs CPU",
            Target(30) if n == 8 else None,
        )
        for n in LIMITS
    ),
)
BODIES: Final = Table(
    "bodies",
    (
        Case("bodies-off", "nothing kept, nothing checked", "µs CPU"),
        Case("bodies-flagged", "bodies of flagged calls kept, none is", "µs CPU"),
        Case("bodies-all", "all bodies kept", "µs CPU"),
        Case("bodies-all-times", "the same, beside nothing kept", "times", Target(1.3)),
        Case("checked-log", "what is asked is checked beside the call", "µs CPU"),
        Case("checked-log-times", "the same, beside nothing checked", "times"),
        Case("checked-block", "what is asked is checked before it is sent", "µs CPU"),
    ),
)
GROWTH: Final = Table(
    "growth",
    tuple(
        Case(f"{name}-{rows}", f"{title}, {_counted(rows)} rows in the log", unit)
        for name, title, unit in (
            ("growth-cpu", "chat request", "µs CPU"),
            ("growth-commit", "99th percentile of a commit", "ms"),
            ("growth-start", "start to ready", "s"),
        )
        for rows in LOG_ROWS
    ),
)
STAFF: Final = Table(
    "staff",
    (
        Case("staff-quiet", "99th percentile of a commit, nothing else going on", "ms"),
        Case(
            "staff-busy",
            "99th percentile of a commit while 100,000 rows are read and 5,000 members added",
            "ms",
            Target(20),
        ),
        Case("staff-busy-p50", "median of a commit meanwhile", "ms"),
        Case("staff-call-quiet", "99th percentile of a call, nothing else going on", "ms"),
        Case("staff-call-busy", "99th percentile of a call meanwhile", "ms"),
        Case("staff-read", "rows read", "per second"),
        Case("staff-added", "members added, each with a key", "per second"),
    ),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A case of the long log: what the admin API is asked for. Words in capitals are put in by the measure."""

    id: str
    title: str
    path: str
    accept: str = "application/json"


LOG_QUERIES: Final = (
    Asked("log-all", "the log, no filter", "/requests"),
    Asked("log-group", "one group", "/requests?group=bench"),
    Asked("log-key", "one key", "/requests?key=KEY"),
    Asked("log-member", "refused calls of one member", "/requests?member=MEMBER&status=refused"),
    Asked("log-flagged", "flagged calls", "/requests?flagged=true"),
    Asked("log-tag", "a tag that three calls have", "/requests?tag=rare"),
    Asked("log-status", "a status that no call has", "/requests?status=blocked"),
    Asked("log-model", "a model that nobody used (page by page)", "/requests?model=o3"),
    Asked(
        "log-group-model",
        "that model in one group (page by page)",
        "/requests?group=bench&model=o3",
    ),
    Asked("log-middle", "a month in the middle", "/requests?since=MIDDLE&until=AFTER"),
    Asked(
        "log-middle-rare",
        "flagged calls of one group in that month",
        "/requests?since=MIDDLE&until=AFTER&flagged=true&group=bench",
    ),
    Asked("log-csv", "all of it as CSV, streamed", "/requests", "text/csv"),
    Asked("log-csv-model", "a model that nobody used as CSV", "/requests?model=o3", "text/csv"),
    Asked("usage-month", "usage of a month by member", "/usage?by=member&since=MIDDLE&until=AFTER"),
    Asked("usage-days", "usage of a month by day", "/usage?by=day&since=MIDDLE&until=AFTER"),
    Asked("usage-year", "usage of the whole year by model", "/usage?by=model"),
    Asked("usage-year-member", "usage of the whole year by member", "/usage?by=member"),
    Asked(
        "usage-year-days",
        "usage of the whole year by day in another zone",
        "/usage?by=day&time_zone=Asia/Kathmandu",
    ),
)
LOG: Final = Table(
    "log", tuple(Case(asked.id, asked.title, "ms", Target(300)) for asked in LOG_QUERIES)
)
DISK: Final = Table(
    "disk",
    (
        Case("disk-row", "a call in the log, its indexes with it", "bytes"),
        Case("disk-bucket", "a quarter of an hour of one key in the usage report", "bytes"),
        Case("disk-member", "a member with a key, as added", "bytes"),
        Case("disk-counters", "the counters of a member under eight limits who calls", "bytes"),
    ),
)
TABLES: Final = {
    table.name: table
    for table in (REQUESTS, EVENTS, LATENCY, CROWD, ADMISSION, BODIES, GROWTH, STAFF, LOG, DISK)
}
RIVALS: Final = Table(
    "rivals",
    (
        Case("rival-cpu", "chat request, 32 connections", "µs CPU"),
        Case("rival-rate", "chat requests, 32 connections, one core", "per second"),
        Case("rival-p50", "added to the median, 20 calls/s", "ms"),
        Case("rival-p99", "added to the 99th percentile, 20 calls/s", "ms"),
        Case("rival-event", "SSE event, 50 streams", "µs CPU"),
        Case("rival-rss", "RSS idle", "MB"),
        Case("rival-start", "cold start to ready", "s"),
    ),
    (NGINX, TUCKSHOP, "portkey", "litellm"),
)
