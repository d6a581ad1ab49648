"""
`make bench`: CPU per request and per event, memory and cold start, as ratios in one run.

The proxy has core 0; the made-up upstream and the load share core 1. CPU is what the kernel accounts to the proxy's
processes, so that a slow load or a noisy neighbour changes how long a case takes and not what it measures.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from bench.admission import admission_cost
from bench.subjects import (
    OTHER_CORE,
    Subject,
    Upstream,
    free_port,
    start_nginx,
    start_tuckshop,
    start_upstream,
)

MANY_KEYS: Final = 10_000
TOOLS: Final = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux"}
LUA: Final = """
local keys = {}
for line in io.lines(os.getenv("BENCH_KEYS")) do keys[#keys + 1] = line end
local n = 0
wrk.method = "POST"
wrk.body = '{"model":"gpt-4o-mini","max_tokens":32,"messages":[{"role":"user","content":"[[tokens:16]] Say hello."}]}'
wrk.headers["content-type"] = "application/json"
request = function()
  n = n % #keys + 1
  wrk.headers["authorization"] = "Bearer " .. keys[n]
  return wrk.format()
end
"""


def measure_requests(subject: Subject, folder: Path, *, connections: int, seconds: int) -> float:
    """CPU µs per plain chat request."""
    script, keys = folder / "post.lua", folder / f"{subject.name}.keys"
    script.write_text(LUA)
    keys.write_text("\n".join(subject.keys))
    environ = dict(os.environ) | {"BENCH_KEYS": str(keys)}  # noqa: TID251
    command = [
        "taskset",
        "-c",
        OTHER_CORE,
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "-s",
        str(script),
    ]
    warm = [c.replace(f"-d{seconds}s", "-d1s") for c in command]
    subprocess.run(
        [*warm, f"{subject.url}/chat/completions"], env=environ, check=True, capture_output=True
    )
    before = subject.cpu_s()
    done = subprocess.run(
        [*command, f"{subject.url}/chat/completions"],
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    used = subject.cpu_s() - before
    found = re.search(r"(\d+) requests in", done.stdout)
    if found is None or "Non-2xx" in done.stdout:
        raise SystemExit(f"{subject.name}: not every call was answered\n{done.stdout}")
    return used / int(found[1]) * 1e6


def measure_streams(
    subject: Subject, folder: Path, *, streams: int, tokens: int, speed: int
) -> tuple[float, float]:
    """(CPU µs per event, RSS MB while the streams ran)."""
    keys = folder / f"{subject.name}.keys"
    keys.write_text("\n".join(subject.keys))
    before = subject.cpu_s()
    process = subprocess.Popen(
        [
            *("taskset", "-c", OTHER_CORE, sys.executable, "-m", "bench.streams"),
            *(subject.url, str(keys)),
            *("--streams", str(streams), "--tokens", str(tokens), "--speed", str(speed)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    rss = 0.0
    while process.poll() is None:
        rss = max(rss, subject.rss_mb())
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    used = subject.cpu_s() - before
    assert process.stdout is not None
    found = json.loads(process.stdout.read())
    if found["failed"]:
        raise SystemExit(f"{subject.name}: {found['failed']} streams were not served")
    return used / found["events"] * 1e6, rss


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured case. *target* is the most the judged figure may be: the ratio where there is one."""

    case: str
    unit: str
    tuckshop: float
    nginx: float | None = None
    target: float | None = None
    by_ratio: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times nginx."""
        return None if self.nginx is None else self.tuckshop / self.nginx

    @property
    def verdict(self) -> str:
        """Whether the target is met; empty where there is none."""
        judged = self.ratio if self.by_ratio else self.tuckshop
        if self.target is None or judged is None:
            return ""
        sign = " times nginx" if self.by_ratio else f" {self.unit}"
        return f"≤ {self.target:g}{sign}: {'met' if judged <= self.target else 'MISSED'}"

    def cells(self) -> str:
        """As a line of the table."""
        nginx = "" if self.nginx is None else f"{self.nginx:.2f}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        cells = (self.case, self.unit, nginx, f"{self.tuckshop:.2f}", ratio, self.verdict)
        return f"| {' | '.join(cells)} |"


class Bench:
    """All cases of one run: the subjects in turn, the median of the rounds."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.rows: list[Row] = []

    def run(self) -> None:
        """Measure everything."""
        self.rows.append(
            Row(
                case="admission, eight limits",
                unit="µs CPU",
                tuckshop=statistics.median(admission_cost() for _ in range(self.options.rounds)),
                target=30,
            )
        )
        upstream = start_upstream()
        try:
            self._compare(upstream)
            self._crowd(upstream)
        finally:
            upstream.stop()

    def _compare(self, upstream: Upstream) -> None:
        """CPU, beside nginx."""
        subjects: list[Subject] = []
        try:
            subjects.append(start_nginx(upstream, self.folder / "nginx", free_port()))
            subjects.append(
                start_tuckshop(upstream, self.folder / "class", free_port(), keys=self.options.keys)
            )
            tuckshop = subjects[1]
            self.rows += (
                Row(case="cold start", unit="s", tuckshop=tuckshop.cold_start_s, target=1.5),
                Row(case="RSS idle", unit="MB", tuckshop=tuckshop.idle_rss_mb, target=80),
            )
            for connections, target in ((1, None), (32, 6), (256, None)):
                measure = partial(
                    measure_requests,
                    folder=self.folder,
                    connections=connections,
                    seconds=self.options.seconds,
                )
                self._case(f"chat request, {connections} connections", subjects, measure, target)
            for streams in (200, 1000):
                self._case(f"SSE event, {streams} streams", subjects, self._event(streams), 1.5)
        finally:
            for subject in subjects:
                subject.stop()

    def _case(
        self,
        title: str,
        subjects: list[Subject],
        measure: Callable[[Subject], float],
        target: float | None,
    ) -> None:
        rounds: dict[str, list[float]] = {s.name: [] for s in subjects}
        for _ in range(self.options.rounds):
            for subject in subjects:
                rounds[subject.name].append(measure(subject))
        medians = {name: statistics.median(values) for name, values in rounds.items()}
        self._add(Row(case=title, unit="µs CPU", target=target, by_ratio=True, **medians))

    def _event(self, streams: int) -> Callable[[Subject], float]:
        return lambda subject: measure_streams(
            subject, self.folder, streams=streams, tokens=120, speed=20
        )[0]

    def _crowd(self, upstream: Upstream) -> None:
        """Memory of a server with many keys that serves many streams."""
        crowd = start_tuckshop(upstream, self.folder / "crowd", free_port(), keys=MANY_KEYS)
        try:
            _, rss = measure_streams(crowd, self.folder, streams=1000, tokens=120, speed=20)
        finally:
            crowd.stop()
        self._add(Row(case="RSS, 1,000 streams, 10,000 keys", unit="MB", tuckshop=rss, target=120))

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        print(row.cells(), file=sys.stderr, flush=True)


def render(rows: list[Row]) -> str:
    """The report as a table."""
    at = datetime.now(UTC).isoformat(timespec="minutes")
    machine = (
        f"{platform.machine()} ({cpu_model()}), {os.cpu_count()} cores, Linux {platform.release()}, "
        f"CPython {platform.python_version()}"
    )
    lines = [
        f"{at}, {machine}",
        "",
        "| case | unit | nginx | tuckshop | ratio | target |",
        "| --- | --- | --- | --- | --- | --- |",
        *(row.cells() for row in rows),
    ]
    return "\n".join(lines)


def cpu_model() -> str:
    """What the processor calls itself."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else "unknown"


def ensure_tools() -> None:
    """
    nginx, wrk and taskset, by apt where this may install.

    Raises:
        SystemExit: One is missing and cannot be installed; says how to.
    """
    path = f"{os.defpath}:/usr/sbin:/usr/bin:/bin"
    packages = [package for tool, package in TOOLS.items() if not shutil.which(tool, path=path)]
    if not packages:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "--quiet"], check=False)
        if subprocess.run(command, check=False).returncode == 0:
            return
    raise SystemExit(f"missing; as root: {' '.join(command)}")


def main() -> None:
    """Run all cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4, help="of each case with plain requests")
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many, in turn")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ensure_tools()
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("two cores are needed: one for the proxy, one for all else")
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options)
        bench.run()
    print(render(bench.rows))
    if options.json:
        rows = [asdict(row) | {"ratio": row.ratio, "verdict": row.verdict} for row in bench.rows]
        options.json.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
