"""The process that counts: right, bounded in time and number, and gone when it should be."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_clock import FakeClock
from tuckshop.pricing.bound import TOKENS_PER_TEXT
from tuckshop.tokenizing.counter import COMMAND, DECODED_MAX, LIMITS, TokenCounter
from tuckshop.workers.process import WorkerLimits

# As tiktoken counts them (`len(encoding.encode_ordinary(text))`).
KNOWN = [
    ("", 0, 0),
    ("hello world", 2, 2),
    ("tiktoken is great!", 6, 6),
    ("antidisestablishmentarianism", 6, 6),
    ("2 + 2 = 4", 7, 7),
    ("お誕生日おめでとう", 9, 8),
    ("<|endoftext|>", 7, 7),  # text, not the special token
]


def run(
    use: Callable[[TokenCounter], Awaitable[None]],
    *,
    limits: WorkerLimits = LIMITS,
    command: list[str] | None = None,
    clock: FakeClock | None = None,
) -> None:
    async def main() -> None:
        given = {} if command is None else {"command": command}
        counter = TokenCounter(clock=clock or FakeClock(), limits=limits, **given)
        try:
            await use(counter)
        finally:
            await counter.close()
            assert counter.worker_pid is None

    asyncio.run(main())


def python(tmp_path: Path, code: str) -> list[str]:
    """A process in the worker's place."""
    path = tmp_path / "stand_in.py"
    path.write_text(code)
    return [sys.executable, "-I", str(path)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def environment_of(pid: int | None) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it is a process outside that has to get on
            await asyncio.sleep(0.01)


def test_counts_are_those_of_the_published_vocabularies() -> None:
    async def use(counter: TokenCounter) -> None:
        texts = [text.encode() for text, _, _ in KNOWN]
        assert await counter.count("cl100k_base", texts, asker="a") == [n for _, n, _ in KNOWN]
        assert await counter.count("o200k_base", texts, asker="a") == [n for _, _, n in KNOWN]

    run(use)


def test_many_at_once_get_their_own_counts() -> None:
    async def use(counter: TokenCounter) -> None:
        counts = await asyncio.gather(
            *(
                counter.count("o200k_base", [b" word" * n, b""], asker=f"mem_{n % 7}")
                for n in range(100)
            )
        )
        assert counts == [[n, 0] for n in range(100)]

    run(use)


def test_nothing_runs_before_it_is_needed_and_nothing_when_it_was_not_for_long() -> None:
    async def use(counter: TokenCounter) -> None:
        assert counter.worker_pid is None
        assert await counter.count("o200k_base", [b"hello world"], asker="a") == [2]
        pid = counter.worker_pid
        assert pid is not None
        await until(lambda: counter.worker_pid is None)
        await until(lambda: not is_alive(pid))
        assert await counter.count("o200k_base", [b"hello world"], asker="a") == [2]

    run(use, limits=replace(LIMITS, idle_s=0.2))


def test_a_killed_process_is_replaced() -> None:
    async def use(counter: TokenCounter) -> None:
        assert await counter.count("o200k_base", [b"hello world"], asker="a") == [2]
        assert counter.worker_pid is not None
        os.kill(counter.worker_pid, signal.SIGKILL)
        assert await counter.count("o200k_base", [b"hello world"], asker="a") is None
        assert await counter.count("o200k_base", [b"hello world"], asker="a") == [2]

    run(use)


def test_a_process_that_hangs_is_ended_at_the_deadline(tmp_path: Path) -> None:
    pids: list[int] = []

    async def use(counter: TokenCounter) -> None:
        # More than a pipe takes, so that writing hangs too.
        asked = asyncio.ensure_future(counter.count("o200k_base", [b"x" * 1_000_000], asker="a"))
        await until(lambda: counter.worker_pid is not None)
        pids.append(counter.worker_pid or 0)
        assert await asked is None
        await until(lambda: not is_alive(pids[0]))

    hangs = python(tmp_path, "while True: pass")
    run(use, limits=replace(LIMITS, job_s=0.3), command=hangs)


def test_after_failures_in_a_row_it_pauses(tmp_path: Path) -> None:
    clock = FakeClock()
    log = tmp_path / "starts"

    async def use(counter: TokenCounter) -> None:
        for _ in range(20):
            assert await counter.count("o200k_base", [b"x"], asker="a") is None
        assert log.read_text() == "xx"
        clock.advance(3)
        assert await counter.count("o200k_base", [b"x"], asker="a") is None
        assert log.read_text() == "xxx"

    fails = python(tmp_path, f"open({str(log)!r}, 'a').write('x')")
    run(use, command=fails, clock=clock)


def test_whose_texts_kill_it_pauses_alone(tmp_path: Path) -> None:
    """E7: nobody can shut others out."""
    code = "import sys\nwhile head := sys.stdin.buffer.readline():\n"
    code += " text = sys.stdin.buffer.read(int(head.split()[2]))\n"
    code += " if text == b'deadly': sys.exit()\n"
    code += " print(1, flush=True)"

    async def use(counter: TokenCounter) -> None:
        for _ in range(5):
            for _ in range(3):
                assert await counter.count("o200k_base", [b"deadly"], asker="hog") is None
            assert await counter.count("o200k_base", [b"x"], asker="other") == [1]
        assert await counter.count("o200k_base", [b"x"], asker="hog") is None

    run(use, command=python(tmp_path, code), clock=FakeClock())


def test_failures_of_several_askers_in_a_row_are_nobodys_own(tmp_path: Path) -> None:
    log = tmp_path / "starts"

    async def use(counter: TokenCounter) -> None:
        for asker in "abcdefgh":
            assert await counter.count("o200k_base", [b"x"], asker=asker) is None
        assert log.read_text() == "xx"

    run(use, command=python(tmp_path, f"open({str(log)!r}, 'a').write('x')"), clock=FakeClock())


@pytest.mark.parametrize("answer", ["", "x", "1 2", "-1", "9" * 2_000_000])
def test_an_answer_that_cannot_be_is_none(tmp_path: Path, answer: str) -> None:
    async def use(counter: TokenCounter) -> None:
        assert await counter.count("o200k_base", [b"x"], asker="a") is None

    run(use, command=python(tmp_path, f"input(); print({answer!r})"))


def test_a_command_that_is_not_there_is_no_count() -> None:
    async def use(counter: TokenCounter) -> None:
        assert await counter.count("o200k_base", [b"x"], asker="a") is None

    run(use, command=["/nowhere/python"])


def test_too_much_at_once_is_not_counted_and_others_are() -> None:
    async def use(counter: TokenCounter) -> None:
        assert await counter.count("o200k_base", [b"x" * 1101], asker="a") is None
        counts = await asyncio.gather(
            *(counter.count("o200k_base", [b" word" * 100], asker="a") for _ in range(4)),
            counter.count("o200k_base", [b" word" * 100], asker="b"),
            counter.count("o200k_base", [b" word" * 100], asker="c"),
        )
        assert counts == [[100], [100], None, None, [100], None]

    run(use, limits=replace(LIMITS, asker_max_bytes=1100, waiting_max_bytes=1600))


def test_who_asks_for_much_does_not_keep_others_waiting() -> None:
    async def use(counter: TokenCounter) -> None:
        done: list[str] = []

        async def ask(asker: str) -> None:
            assert await counter.count("o200k_base", [b"hello world"], asker=asker) == [2]
            done.append(asker)

        await asyncio.gather(*(ask(asker) for asker in "aaaaaaab"))
        assert "b" in done[:2]

    run(use)


def test_closing_answers_who_waits(tmp_path: Path) -> None:
    async def use(counter: TokenCounter) -> None:
        asked = [
            asyncio.ensure_future(counter.count("o200k_base", [b"x"], asker=asker))
            for asker in "ab"
        ]
        await until(lambda: counter.worker_pid is not None)
        await counter.close()
        assert await asyncio.gather(*asked) == [None, None]
        assert await counter.count("o200k_base", [b"x"], asker="a") is None

    run(use, command=python(tmp_path, "while True: pass"))


def test_the_process_knows_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real-CANARY")

    async def use(counter: TokenCounter) -> None:
        assert await counter.count("o200k_base", [b"x"], asker="a") == [1]
        assert b"CANARY" not in environment_of(counter.worker_pid)

    run(use)


def test_it_works_without_a_network() -> None:
    """K18: the vocabularies ride along."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], check=False).returncode:
        pytest.skip("no network namespace can be made here")

    async def use(counter: TokenCounter) -> None:
        assert await counter.count("o200k_base", [b"hello world"], asker="a") == [2]

    run(use, command=[unshare, "-rn", *COMMAND])


HOSTILE = st.lists(
    st.text(max_size=20)
    | st.text("0123456789", max_size=9)
    | st.text(" \t\r\n\u00a0\u3000", max_size=9)
    | st.text("aAbB'", max_size=30)
    | st.sampled_from(
        ["<|endoftext|>", "\U000e0041", "👩‍👩‍👧🏽", "\u0301" * 9, "'LL've", "\x00" * 9]
    ),
    max_size=12,
).map("".join)


def test_the_exact_bound_is_a_bound_however_a_text_is_put_among_others() -> None:
    """M5: a text alone is no more tokens than bytes, and hardly more among others than alone."""

    async def use(counter: TokenCounter) -> None:
        loop = asyncio.get_running_loop()

        def counts(encoding: str, *texts: str) -> list[int]:
            asked = counter.count(encoding, [text.encode() for text in texts], asker="a")
            found = asyncio.run_coroutine_threadsafe(asked, loop).result(10)
            assert found is not None
            return found

        @settings(max_examples=100, deadline=None)
        @given(
            encoding=st.sampled_from(["cl100k_base", "o200k_base"]),
            before=HOSTILE,
            text=HOSTILE,
            after=HOSTILE,
        )
        def holds(encoding: str, before: str, text: str, after: str) -> None:
            alone, around, whole = counts(encoding, text, before + after, before + text + after)
            assert alone <= len(text.encode())
            left, right = counts(encoding, before, after)
            assert whole <= left + alone + right + TOKENS_PER_TEXT
            assert around <= left + right + TOKENS_PER_TEXT

        await asyncio.to_thread(holds)

    run(use)


def test_tokens_are_decoded_to_the_text_that_they_are() -> None:
    """Section 12: what is none is told, what is cut within a character has a mark there, and counting goes on."""

    async def use(counter: TokenCounter) -> None:
        cut = [76460]  # the first three bytes of four
        lists = [[15339, 1917], [100_256], [1 << 40], [], cut, [*cut, 222], [100_257]]
        decoded = await counter.decode("cl100k_base", lists, asker="a")
        assert decoded == ["hello world", None, None, "", "\ufffd", "😀", "<|endoftext|>"]
        assert await counter.count("cl100k_base", [b"hello world"], asker="a") == [2]

    run(use)


def test_as_many_tokens_as_any_call_takes_are_decoded_and_no_more() -> None:
    async def use(counter: TokenCounter) -> None:
        decoded = await counter.decode("cl100k_base", [[15339] * DECODED_MAX], asker="a")
        assert decoded == ["hello" * DECODED_MAX]
        assert await counter.decode("cl100k_base", [[15339] * 400_000], asker="a") is None

    run(use)
