"""M3, M4: what was answered survives a kill, and was synced before it was answered."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.storage.notes import texts_in
from tuckshop.storage.database import prepare

ROOT = Path(__file__).parents[3]


def victim(folder: Path, prefix: str, count: int) -> list[str]:
    module = "tests.integration.storage.crash_victim"
    return [sys.executable, "-m", module, str(folder), prefix, str(count)]


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    told: list[str] = []

    for round_ in range(4):
        with subprocess.Popen(
            victim(tmp_path, f"r{round_}", 100_000), cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.01, 0.3))
            process.kill()
            told += process.stdout.read().split("\n")[:-1]

        prepare(tmp_path).close()  # checks the file
        written = texts_in(tmp_path / "tuckshop.db")
        names = {line.removeprefix("told ") for line in told}
        missing = {f"{name}-{part}" for name in names for part in range(3)} - set(written)
        assert not missing, f"seed {seed}"
        assert len(written) == len(set(written))


def test_a_result_leaves_after_the_sync_of_its_commit(tmp_path: Path) -> None:
    """M3, seen from the kernel: between two answers there is a sync of the log that has returned."""
    trace = tmp_path / "trace"
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    calls = "trace=fsync,fdatasync,write"
    done = subprocess.run(
        [strace, "-f", "-y", "-e", calls, "-o", str(trace), *victim(tmp_path / "data", "s", 20)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "told s-19" not in done.stdout:
        pytest.skip(f"strace does not work here: {done.stderr[-200:]}")

    since_ready = trace.read_text().partition('"ready\\n"')[2]
    answers = re.split(r'"told s-\d+\\n"', since_ready)[:-1]

    assert len(answers) == 20
    for before_answer in answers:
        # With -f a call that another thread's call cuts into is printed in two lines; "resumed" is its return.
        syncs = re.findall(
            r"f(?:data)?sync\(\d+<[^>]*-wal>\) += 0|<\.\.\. f(?:data)?sync resumed>\) += 0",
            before_answer,
        )
        assert syncs, before_answer
