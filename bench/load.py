"""The loads, each run as a process on the other core: as fast as answers come, at a fixed rate, and of streams."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.subjects import OTHER_CORE, Subject

WRK_WARM_S: Final = 1
LUA: Final = """
local keys = {}
for line in io.lines(os.getenv("BENCH_KEYS")) do keys[#keys + 1] = line end
wrk.method = "POST"
wrk.body = '{"model":"gpt-4o-mini","max_tokens":32,"messages":[{"role":"user","content":"[[tokens:16]] Say hello."}]}'
wrk.headers["content-type"] = "application/json"
for name, value in string.gmatch(os.getenv("BENCH_HEADERS"), "([^:\\n]+): ([^\\n]+)") do wrk.headers[name] = value end
request = function()
  wrk.headers["authorization"] = "Bearer " .. keys[math.random(#keys)]
  if os.getenv("BENCH_VARIED") == "yes" then
    local said = string.format("[[tokens:16]] Say hello to number %d.", math.random(1000000000))
    local body = '{"model":"gpt-4o-mini","max_tokens":32,"messages":[{"role":"user","content":"' .. said .. '"}]}'
    return wrk.format(nil, nil, nil, body)
  end
  return wrk.format()
end
"""


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a subject did while calls came as fast as they were answered."""

    cpu_us: float  # per call
    rate: float  # calls per second


def press(
    subject: Subject, folder: Path, *, connections: int, seconds: int, varied: bool = False
) -> Pressed:
    """
    Plain chat requests over so many connections, a random one of the subject's keys each time.

    Args:
        varied: Each says something else, so that nothing is remembered from one to the next.
    Raises:
        RuntimeError: Not every call was answered.
    """
    script = folder / "post.lua"
    script.write_text(LUA)
    environ = dict(os.environ) | {  # noqa: TID251
        "BENCH_KEYS": str(_keys(subject, folder)),
        "BENCH_HEADERS": "\n".join(subject.headers),
        "BENCH_VARIED": "yes" if varied else "no",
    }

    def wrk(seconds: int) -> str:
        command = (
            *("taskset", "-c", OTHER_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"),
            *("--timeout", "30s", "-s", str(script), f"{subject.url}/chat/completions"),
        )
        return subprocess.run(
            command, env=environ, check=True, capture_output=True, text=True
        ).stdout

    wrk(WRK_WARM_S)
    before = subject.cpu_s()
    told = wrk(seconds)
    used = subject.cpu_s() - before
    found = re.search(r"(\d+) requests in ([\d.]+)s", told)
    if found is None or "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"{subject.name}: not every call was answered\n{told}")
    return Pressed(used / int(found[1]) * 1e6, int(found[1]) / float(found[2]))


@dataclass(frozen=True, slots=True)
class Streamed:
    """What a subject did while streams ran."""

    cpu_us: float  # per event
    rss_mb: float  # the highest seen


def stream(subject: Subject, folder: Path, *, streams: int, tokens: int, speed: int) -> Streamed:
    """
    So many streams at once, each of *tokens* events, *speed* per second.

    Raises:
        RuntimeError: Not every stream was served.
    """
    before = subject.cpu_s()
    process = _start(
        "bench.streams",
        subject,
        folder,
        *("--streams", str(streams), "--tokens", str(tokens), "--speed", str(speed)),
    )
    rss = 0.0
    while process.poll() is None:
        rss = max(rss, subject.rss_mb())
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    used = subject.cpu_s() - before
    found = _result(subject, process)
    return Streamed(used / found["events"] * 1e6, rss)


@dataclass(frozen=True, slots=True)
class Paced:
    """How long calls took at a fixed rate."""

    p50_ms: float
    p99_ms: float


class Pace:
    """A load at a fixed rate that goes on while other things are done."""

    def __init__(self, subject: Subject, folder: Path, *, rate: float, seconds: float) -> None:
        self._subject = subject
        self._process = _start(
            "bench.open_loop", subject, folder, "--rate", str(rate), "--seconds", str(seconds)
        )

    def wait_until_warm(self) -> None:
        """Until its calls count."""
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def result(self, *, stop: bool = False) -> Paced:
        """
        When all is answered. *stop*: make no further calls.

        Raises:
            RuntimeError: A call failed.
        """
        if stop:
            self._process.terminate()
        found = _result(self._subject, self._process)
        return Paced(found["p50_ms"], found["p99_ms"])


def pace(subject: Subject, folder: Path, *, rate: float, seconds: float) -> Paced:
    """Plain chat requests, *rate* per second whatever the answers do."""
    return Pace(subject, folder, rate=rate, seconds=seconds).result()


def _start(module: str, subject: Subject, folder: Path, *more: str) -> subprocess.Popen[str]:
    headers = [part for header in subject.headers for part in ("--header", header)]
    return subprocess.Popen(
        [
            *("taskset", "-c", OTHER_CORE, sys.executable, "-m", module),
            *(subject.url, str(_keys(subject, folder)), *more, *headers),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )


def _result(subject: Subject, process: subprocess.Popen[str]) -> dict[str, Any]:
    told, _ = process.communicate(timeout=300)
    if process.returncode:
        raise RuntimeError(f"{subject.name}: the load ended with {process.returncode}")
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    if found["failed"]:
        raise RuntimeError(f"{subject.name}: {found['failed']} calls were not served")
    return found


def _keys(subject: Subject, folder: Path) -> Path:
    path = folder / f"{subject.name}.{subject.process.pid}.keys"
    path.write_text("\n".join(subject.keys))
    return path
