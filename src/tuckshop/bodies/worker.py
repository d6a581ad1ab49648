"""
The process that reads large bodies: one job at a time, with nothing kept from one to the next.

It is started by its path, with an empty environment: whatever a hostile body does to it, there is no credential here,
and no other call's. What it may take of memory is bounded, and it is the first to go where the machine has none left.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
from pathlib import Path
from typing import Final

MEMORY_MAX_BYTES: Final = 2 << 30


def main() -> None:
    """Serve standard input and output."""
    _bound_itself()
    # Started by its path, it would not find the package it is part of; or find another one that is installed.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tuckshop.bodies.job import to_bytes, to_job
    from tuckshop.bodies.reading import answer

    gc.disable()  # a tree has no cycles, and its end is the end of the job
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    for head in iter(source.readline, b""):
        job_size, body_size = map(int, head.split())
        job = to_job(source.read(job_size))
        said = to_bytes(answer(job, source.read(body_size)))
        sink.write(b"%d\n" % len(said))
        sink.write(said)
        sink.flush()


def _bound_itself() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold people's texts
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    with contextlib.suppress(OSError):  # not on every system
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
