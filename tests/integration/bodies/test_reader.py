"""The process that reads large bodies: says just what reading them here would, within bounds (E5, section 8)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.edge.support import LOOPS
from tests.support.fake_clock import FakeClock
from tuckshop.bodies.reader import COMMAND, LIMITS, BodyReader
from tuckshop.domain.errors import (
    InvalidRequestBodyError,
    ParameterNotAllowedError,
    RefusalError,
    ServerBusyError,
)
from tuckshop.protocols import json_body
from tuckshop.protocols.openai.body import BodyLimits
from tuckshop.protocols.openai.facts import read_body, understand
from tuckshop.protocols.openai.long_texts import long_texts
from tuckshop.protocols.openai.outgoing import Rewriting, rewrite
from tuckshop.protocols.openai.table import ENDPOINTS, route
from tuckshop.workers.process import WorkerLimits

CHAT = route("POST", "/v1/chat/completions")
HOW = Rewriting(profile="openai", model="gpt-4o-mini", cap=99, cap_field=None, pseudonym="tuck-1")
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def run(
    use: Callable[[BodyReader], Awaitable[None]],
    *,
    max_values: int = json_body.MAX_VALUES,
    limits: WorkerLimits = LIMITS,
    command: Sequence[str] = COMMAND,
    run_loop: Any = asyncio.run,
) -> None:
    async def main() -> None:
        reader = BodyReader(
            clock=FakeClock(),
            body_limits=BodyLimits(max_depth=8, max_values=max_values),
            limits=limits,
            command=command,
        )
        try:
            async with asyncio.timeout(60):
                await use(reader)
        finally:
            await reader.close()
            assert reader.worker_pid is None

    run_loop(main())


def environment_of(pid: int | None) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def chat(content: Any, **more: Any) -> bytes:
    tree = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": content}], **more}
    return json.dumps(tree, ensure_ascii=False).encode()


BODIES = {
    "text": chat("ä" * 400_000),
    "odd numbers": chat("x" * 300_000, temperature=1.0).replace(b"1.0", b"1.00"),
    "tools": chat("x", tools=[{"type": "function", "function": {"name": "f"}}] * 9_000),
    "image": chat([{"type": "image_url", "image_url": {"url": PIXEL}}, {"type": "text", "text": "y" * 300_000}]),
    "nothing to write": chat("x" * 300_000, max_tokens=99, service_tier="default", safety_identifier="tuck-1"),
    "unknown": chat("x" * 300_000, oddity=[1, {"a": "b" * 99}]),
    "stream": chat("x" * 300_000, stream=True),
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_it_says_what_reading_the_body_here_would(body: bytes) -> None:
    """M12: policy, price and wire go by one meaning, wherever it is read."""
    tree = json_body.parse(body)
    facts = understand(CHAT, tree, pass_unknown=True)
    written = rewrite(CHAT, tree, facts, HOW)

    async def use(reader: BodyReader) -> None:
        assert await reader.understand(CHAT, body, pass_unknown=True, asker="a") == (facts, ())
        assert list(await reader.texts(CHAT, body, asker="a")) == long_texts(CHAT, tree)
        assert await reader.rewrite(CHAT, body, HOW, asker="a") == (written or body)

    run(use)


def test_every_endpoint_that_takes_a_body_is_known_there() -> None:
    async def use(reader: BodyReader) -> None:
        for row in ENDPOINTS:
            if row.method == "POST":
                with pytest.raises(RefusalError):
                    await reader.understand(row, b"[]", pass_unknown=False, asker="a")
        assert reader.worker_pid is not None

    run(use)


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b" " * 300_000,
        b'{"a":' * 9 + b"1" + b"}" * 9,
        b'{"model":"gpt-4o-mini","messages":[' + b"{}," * 100 + b"{}]}",
        chat("x", model="m" * 1_000),
        chat("x", service_tier="flex"),
        chat("x", oddity=1),
        b"\xff" * 300_000,
        b'{"a":' + b"9" * 300_000 + b"}",
        b'{"a":"\\ud800' + b"x" * 300_000 + b'"}',
    ],
)
def test_it_refuses_in_the_same_words(body: bytes) -> None:
    """E5."""
    with pytest.raises((InvalidRequestBodyError, ParameterNotAllowedError)) as here:
        read_body(CHAT, body, limits=BodyLimits(max_depth=8, max_values=100), pass_unknown=False)

    async def use(reader: BodyReader) -> None:
        with pytest.raises(type(here.value)) as there:
            await reader.understand(CHAT, body, pass_unknown=False, asker="a")
        assert str(there.value) == str(here.value)
        assert there.value.param == here.value.param

    run(use, max_values=100)


def test_what_takes_all_memory_is_refused_and_the_next_is_read(tmp_path: Path) -> None:
    """E7: small values take thirty times their bytes; the process may take so much and no more."""
    hungry = b'{"a":[' + b"{}," * 6_000_000 + b"{}]}"
    code = Path(COMMAND[-1]).read_text().replace("2 << 30", "300 << 20")
    package = Path(COMMAND[-1]).parents[2]
    code = code.replace("Path(__file__).parents[2]", repr(str(package)))
    (tmp_path / "worker.py").write_text(code)

    async def use(reader: BodyReader) -> None:
        with pytest.raises(InvalidRequestBodyError, match="memory"):
            await reader.understand(CHAT, hungry, pass_unknown=True, asker="a")
        pid = reader.worker_pid
        assert (await reader.understand(CHAT, chat("x"), pass_unknown=True, asker="a"))[0].messages
        assert reader.worker_pid == pid

    run(use, max_values=10**9, command=(sys.executable, "-I", str(tmp_path / "worker.py")))


@pytest.mark.parametrize("run_loop", LOOPS)
def test_a_killed_process_refuses_one_body_at_most(
    run_loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(reader: BodyReader) -> None:
        await reader.understand(CHAT, chat("x"), pass_unknown=True, asker="a")
        assert reader.worker_pid is not None
        os.kill(reader.worker_pid, signal.SIGKILL)
        with contextlib.suppress(ServerBusyError):  # unless its end was noticed before
            await reader.understand(CHAT, chat("x"), pass_unknown=True, asker="a")
        await reader.understand(CHAT, chat("x"), pass_unknown=True, asker="a")

    run(use, run_loop=run_loop)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("run_loop", LOOPS)
def test_a_process_that_was_killed_while_idle_refuses_nobody(
    run_loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """E7: it is the first to go where the machine has no memory left, and the next body starts another."""

    async def use(reader: BodyReader) -> None:
        for _ in range(3):
            await reader.understand(CHAT, chat("x"), pass_unknown=True, asker="a")
            assert reader.worker_pid is not None
            os.kill(reader.worker_pid, signal.SIGKILL)
            await asyncio.sleep(0.2)

    run(use, run_loop=run_loop)
    assert not caplog.records


@pytest.mark.parametrize("answer", ["", "x", "-1", "3 abc", "9" * 2_000_000, "99999999999"])
def test_an_answer_that_cannot_be_is_none(tmp_path: Path, answer: str) -> None:
    path = tmp_path / "stand_in.py"
    path.write_text(f"input(); print({answer!r})")

    async def use(reader: BodyReader) -> None:
        with pytest.raises(ServerBusyError):
            await reader.understand(CHAT, chat("x"), pass_unknown=True, asker="a")

    run(use, command=(sys.executable, "-I", str(path)), limits=replace(LIMITS, job_s=2))


def test_the_process_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """K2."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real-CANARY")

    async def use(reader: BodyReader) -> None:
        await reader.understand(CHAT, chat("x"), pass_unknown=True, asker="a")
        assert b"CANARY" not in environment_of(reader.worker_pid)

    run(use)
