"""
`make bench`: CPU per request and per event, memory and cold start, as ratios in one run.

The proxy has core 0; the made-up upstream and the load share core 1. CPU is what the kernel accounts to the proxy's
processes, so that a slow load or a noisy neighbour changes how long a case takes and not what it measures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.subjects import OTHER_CORE, Subject, start_nginx, start_tuckshop, start_upstream

NGINX_PORT, TUCKSHOP_PORT = 18780, 18781
LUA = """
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


def main() -> None:
    """Run all cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="of each case with plain requests")
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="the median of so many, in turn")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for tool in ("nginx", "wrk", "taskset"):
        if shutil.which(tool, path="/usr/sbin:/usr/bin:/bin") is None:
            raise SystemExit(f"{tool} is missing: apt-get install nginx-light wrk util-linux")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upstream = start_upstream()
        subjects: list[Subject] = []
        try:
            subjects.append(start_nginx(upstream, folder / "nginx", NGINX_PORT))
            subjects.append(
                start_tuckshop(upstream, folder / "tuckshop", TUCKSHOP_PORT, keys=options.keys)
            )
            report = run_cases(subjects, folder, options)
        finally:
            for subject in subjects:
                subject.stop()
            upstream.stop()
    print(render(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def run_cases(subjects: list[Subject], folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Every case, the subjects in turn, the median of the rounds."""
    idle = {s.name: s.rss_mb() for s in subjects}
    rows: list[dict[str, Any]] = []

    def case(title: str, unit: str, measure: Callable[[Subject], float]) -> None:
        rounds: dict[str, list[float]] = {s.name: [] for s in subjects}
        for _ in range(options.rounds):
            for subject in subjects:
                rounds[subject.name].append(measure(subject))
        row = {name: sorted(values)[len(values) // 2] for name, values in rounds.items()}
        rows.append({"case": title, "unit": unit, **row, "ratio": row["tuckshop"] / row["nginx"]})

    for connections in (1, 32, 256):
        case(
            f"chat request, {connections} connections", "µs CPU",
            partial(measure_requests, folder=folder, connections=connections, seconds=options.seconds),
        )  # fmt: skip
    rss: dict[str, float] = {}
    for streams in (200, 1000):

        def stream(subject: Subject, count: int = streams) -> float:
            cost, rss[subject.name] = measure_streams(
                subject, folder, streams=count, tokens=120, speed=20
            )
            return cost

        case(f"SSE event, {streams} streams", "µs CPU", stream)
    for title, values in (
        ("RSS idle", idle),
        ("RSS with 1,000 streams", rss),
        ("cold start", {s.name: s.cold_start_s for s in subjects}),
    ):
        unit = "s" if title == "cold start" else "MB"
        rows.append(
            {"case": title, "unit": unit, **values, "ratio": values["tuckshop"] / values["nginx"]}
        )
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"CPython {platform.python_version()}",
        "rows": rows,
    }


def render(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [
        f"{report['at']}, {report['machine']}",
        "",
        "| case | unit | nginx | tuckshop | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['case']} | {r['unit']} | {r['nginx']:.2f} | {r['tuckshop']:.2f} | {r['ratio']:.2f} |"
        for r in report["rows"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
