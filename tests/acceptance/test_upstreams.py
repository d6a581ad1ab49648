"""Upstreams from outside: a provider key replaced under load, upstreams changed and removed while calls run."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.acceptance.conftest import client_of, key_of_new_member
from tests.support.processes import (
    ADMIN_TOKEN,
    COMMAND,
    CREDENTIAL,
    Mock,
    Server,
    call,
    clean_environment,
    start_mock,
    start_server,
)

pytestmark = pytest.mark.long

NEW = "sk-real-replaced-9876543210-CANARYnew1"
MODEL = "gpt-4o-mini"


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Mock]:
    mock = start_mock(tmp_path / "first", credential=None)
    yield mock
    mock.stop()


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Mock]:
    mock = start_mock(tmp_path / "second", credential=None)
    yield mock
    mock.stop()


@pytest.fixture
def server(tmp_path: Path, first: Mock) -> Iterator[Server]:
    server = start_server(tmp_path / "server", first.url)
    yield server
    assert server.stop() == 0, server.log.read_text()


def tuckshop(server: Server, *arguments: str, stdin: str = "", status: int = 0) -> str:
    done = subprocess.run(
        [str(COMMAND), *arguments],
        env=clean_environment()
        | {"TUCKSHOP_DATA": str(server.data), "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN},
        cwd=server.data.parent,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, (arguments, done.stdout, done.stderr)
    assert "CANARY" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def ask(server: Server, key: str, model: str = MODEL, content: str = "Hi") -> Any:
    return client_of(server, key).chat.completions.create(
        model=model, messages=[{"role": "user", "content": content}], max_tokens=50
    )


def stream(
    server: Server, key: str, model: str = MODEL, *, tokens: int = 50, tag: str = "any"
) -> Iterator[str]:
    """Its pieces; raises unless it comes to its end."""
    reason = None
    with client_of(server, key).chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": f"[[tokens:{tokens}]] [[speed:150]] Tell"}],
        max_tokens=tokens + 10,
        stream=True,
        extra_headers={"x-tuckshop-tag": tag},
    ) as chunks:
        for chunk in chunks:
            yield chunk.choices[0].delta.content or ""
            reason = chunk.choices[0].finish_reason or reason
    assert reason is not None, "the stream broke off"


def until(is_so: Callable[[], bool], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def sent(mock: Mock) -> list[tuple[str, str]]:
    """(our id of the call, the credential it came with), in order."""
    fields = [{name.lower(): value for name, value in line["headers"]} for line in mock.requests()]
    return [(one.get("x-client-request-id", ""), one["authorization"]) for one in fields]


def bearers(mock: Mock) -> list[str]:
    return [bearer for _, bearer in sent(mock)]


def add_second(server: Server, second: Mock, **fields: Any) -> Any:
    return server.made(
        "POST",
        "/upstreams",
        {"name": "second", "base_url": second.url, "credential": NEW, **fields},
    )


def rows(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.made("GET", "/requests")["data"]
    return found


def test_a_leaked_key_is_replaced_under_load_and_no_call_fails(server: Server, first: Mock) -> None:
    """K2, K3's sibling at the other end: the next call goes out with the new key, running streams end."""
    key = key_of_new_member(server, "swa", each=["$10/month"])
    failures: list[Exception] = []
    replaced = threading.Event()

    def load() -> None:
        after = 0
        while after < 3:
            tag = "after" if replaced.is_set() else "before"
            after += tag == "after"
            try:
                for _ in stream(server, key, tokens=20, tag=tag):
                    pass
            except (openai.OpenAIError, AssertionError) as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: len(bearers(first)) >= len(threads))
    for secret in (NEW + "x", NEW + "y", NEW):
        tuckshop(server, "upstream", "edit", "openai", "--credential", stdin=secret)
    replaced.set()
    for thread in threads:
        thread.join(120)

    assert failures == []
    assert {row["status"] for row in rows(server)} == {"settled"}
    after = {row["id"] for row in server.made("GET", "/requests?tag=after")["data"]}
    assert len(after) == 24
    with_new = {id_ for id_, bearer in sent(first) if bearer == f"Bearer {NEW}"}
    assert after <= with_new
    assert f"Bearer {CREDENTIAL}" in bearers(first)
    tuckshop(server, "verify")


def test_calls_go_to_the_upstream_that_is_named_or_serves_the_model(
    server: Server, first: Mock, second: Mock
) -> None:
    key = key_of_new_member(server, "swa", each=["$10/month"])
    add_second(server, second)

    ask(server, key)
    ask(server, key, f"second/{MODEL}")
    server.made("PATCH", "/upstreams/openai", {"models": ["gpt-4.1*"]})
    ask(server, key)
    ask(server, key, "gpt-4.1-mini")
    with pytest.raises(openai.NotFoundError, match="does not exist here"):
        ask(server, key, f"openai/{MODEL}")

    assert [line["body"]["model"] for line in first.requests()] == [MODEL, "gpt-4.1-mini"]
    assert [line["body"]["model"] for line in second.requests()] == [MODEL, MODEL]
    assert set(bearers(second)) == {f"Bearer {NEW}"}
    told = [row["upstream"] for row in reversed(rows(server)) if row["status"] == "settled"]
    assert told == ["openai", "second", "second", "openai"]
    listed = {model.id: model.owned_by for model in client_of(server, key).models.list()}
    assert (listed[MODEL], listed["gpt-4.1-mini"]) == ("second", "openai")


def test_a_model_that_no_upstream_serves_is_neither_listed_nor_found(server: Server) -> None:
    key = key_of_new_member(server, "swa", each=["$10/month"])
    server.made("PATCH", "/upstreams/openai", {"models": [MODEL]})

    assert [model.id for model in client_of(server, key).models.list()] == [MODEL]
    with pytest.raises(openai.NotFoundError):
        ask(server, key, "gpt-4.1-mini")
    with pytest.raises(openai.NotFoundError):
        client_of(server, key).models.retrieve("gpt-4.1-mini")


@pytest.mark.parametrize("change", ["remove", "move"])
def test_a_stream_ends_as_it_began_though_its_upstream_is_removed_or_moved(
    server: Server, first: Mock, second: Mock, change: str
) -> None:
    """M5: it is charged what it used."""
    key = key_of_new_member(server, "swa", each=["$10/month"])
    add_second(server, second, base_url=first.url)
    pieces = stream(server, key, f"second/{MODEL}", tokens=400)
    next(pieces)

    if change == "remove":
        server.made("DELETE", "/upstreams/second")
        with pytest.raises(openai.NotFoundError):
            ask(server, key, f"second/{MODEL}")
    else:
        server.made("PATCH", "/upstreams/second", {"base_url": second.url, "credential": NEW})
        ask(server, key, f"second/{MODEL}")
        assert len(second.requests()) == 1
    rest = list(pieces)

    assert len(rest) > 100
    row = rows(server)[-1]
    assert (row["upstream"], row["status"], row["output_tokens"]) == ("second", "settled", 400)
    assert "unconfirmed" not in row["flags"]
    tuckshop(server, "verify")


def test_a_call_that_waits_goes_by_the_upstream_that_there_is_when_it_is_admitted(
    server: Server, first: Mock, second: Mock
) -> None:
    """D6: nobody is admitted for an upstream that is no longer so."""
    key = key_of_new_member(server, "swa", each=["$10/month", "1 concurrent request"])
    running = stream(server, key, tokens=1_000)
    next(running)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(ask(server, key)))
    waiting.start()
    until(lambda: "\ntuckshop_waiting 1.0" in str(call("GET", f"{server.url}/metrics")[1]))

    server.made("PATCH", "/upstreams/openai", {"base_url": second.url, "credential": NEW})
    assert list(running)
    waiting.join(30)

    assert len(answers) == 1
    assert bearers(second) == [f"Bearer {NEW}"]


def test_a_credential_is_nowhere_to_be_found(server: Server, second: Mock, tmp_path: Path) -> None:
    """K2, K17, P10: after use, refusal by the upstream, tries, a backup and a stop."""
    strict = start_mock(tmp_path / "strict", credential="sk-another-0123456789")
    key = key_of_new_member(server, "swa", each=["$10/month"])
    add_second(server, second)
    server.made("POST", "/upstreams", {"name": "strict", "base_url": strict.url, "credential": NEW})
    seen: list[str] = []
    ask(server, key, f"second/{MODEL}")
    with pytest.raises(openai.APIStatusError) as refused:
        ask(server, key, f"strict/{MODEL}")
    seen.append(refused.value.response.text)
    assert refused.value.status_code == 502
    assert "refuses the credential" in tuckshop(server, "upstream", "test", "strict", status=1)
    assert "lists" in tuckshop(server, "upstream", "test", "second")
    strict.stop()
    assert "takes no connection" in tuckshop(server, "upstream", "test", "strict", status=1)
    for path in ("/upstreams", "/upstreams/second", "/requests"):
        seen.append(json.dumps(server.admin("GET", path)[1]))
    seen.append(str(server.admin("POST", "/upstreams", {"name": "x", "credential": NEW + " x"})))
    seen.append(str(call("GET", f"{server.url}/metrics")[1]))
    seen += [tuckshop(server, "upstream", "list", *more) for more in ((), ("--json",))]
    tuckshop(server, "doctor", "--online", status=1)
    backup = tmp_path / "b.db"
    tuckshop(server, "backup", str(backup))
    server.stop()

    seen.append(server.log.read_text())
    assert not any("CANARY" in text for text in seen)
    for file in (backup, *(p for p in server.data.rglob("*") if p.is_file())):
        assert b"CANARY" not in file.read_bytes(), file

    # The backup holds no sealed one either, and says whose are missing.
    told = tuckshop(server, "restore", str(backup), "--acknowledge-gap")
    assert "upstream edit second --credential" in told
    again = start_server(tmp_path / "server", None)
    assert "without a credential: second, strict" in again.log.read_text()
    state = {u["name"]: u["state"] for u in again.made("GET", "/upstreams")["data"]}
    assert state == {"second": "no_credential", "strict": "no_credential"}
    with pytest.raises(openai.InternalServerError):
        ask(again, key, f"second/{MODEL}")
    tuckshop(again, "upstream", "edit", "second", "--credential", stdin=NEW)
    ask(again, key, f"second/{MODEL}")
    assert again.stop() == 0


def test_a_refused_credential_opens_the_circuit_and_its_replacement_closes_it(
    tmp_path: Path,
) -> None:
    """Section 10: calls that must fail are not sent; nothing is charged for them (M15)."""
    strict = start_mock(tmp_path / "strict", credential=NEW)
    server = start_server(tmp_path / "server", strict.url)  # with another credential
    key = key_of_new_member(server, "swa", each=["$10/month"])
    for _ in range(8):
        with pytest.raises(openai.InternalServerError) as refused:
            ask(server, key)
        assert refused.value.status_code == 502
        assert refused.value.response.headers["x-should-retry"] == "false"

    assert len(strict.requests()) == 5
    assert server.made("GET", "/upstreams/openai")["state"] == "refused"
    tuckshop(server, "upstream", "edit", "openai", "--credential", stdin=NEW)
    ask(server, key)

    assert server.made("GET", "/upstreams/openai")["state"] == "ready"
    charged = [row["cost_usd"] for row in rows(server) if row["cost_usd"]]
    assert len(charged) == 1
    assert server.stop() == 0
    strict.stop()


def test_a_kill_in_the_middle_of_a_replacement_leaves_the_old_or_the_new_key(
    tmp_path: Path, second: Mock
) -> None:
    """M4's sibling: what was answered is kept, what was not is whole or not at all."""
    server = start_server(tmp_path / "server", None)
    key = key_of_new_member(server, "swa", each=["$10/month"])
    add_second(server, second)
    answered = asked = NEW

    for turn in range(6):
        began = threading.Event()

        def replace(
            turn: int = turn, server: Server = server, began: threading.Event = began
        ) -> None:
            nonlocal answered, asked
            for number in range(1_000):
                asked = f"{NEW}-{turn}-{number}"
                began.set()
                try:
                    status, _ = server.admin("PATCH", "/upstreams/second", {"credential": asked})
                except OSError:
                    return
                if status == 200:
                    answered = asked

        thread = threading.Thread(target=replace)
        thread.start()
        began.wait()
        time.sleep(random.uniform(0.0, 0.3))
        server.kill()
        thread.join(30)

        server = start_server(tmp_path / "server", None)
        ask(server, key)
        used = bearers(second)[-1].removeprefix("Bearer ")
        assert used in (answered, asked)
        answered = used
    assert server.stop() == 0
    tuckshop(server, "verify")


def test_the_upstream_of_the_settings_follows_them_at_the_next_start(
    tmp_path: Path, first: Mock
) -> None:
    server = start_server(tmp_path / "server", first.url)
    key = key_of_new_member(server, "swa", each=["$10/month"])
    tuckshop(server, "upstream", "edit", "openai", "--credential", stdin=NEW)
    ask(server, key)
    assert server.stop() == 0

    server = start_server(tmp_path / "server", first.url)
    ask(server, key)
    assert "follows the settings again" in server.log.read_text()
    assert server.stop() == 0

    server = start_server(tmp_path / "server", None)
    with pytest.raises(openai.InternalServerError):
        ask(server, key)
    assert server.made("GET", "/upstreams")["data"] == []
    assert server.stop() == 0
    assert bearers(first) == [f"Bearer {NEW}", f"Bearer {CREDENTIAL}"]


def test_an_upstream_that_is_this_server_is_refused(server: Server) -> None:
    """K20: by its address, and by an odd spelling of it when it is dialled."""
    port = server.url.rpartition(":")[2]

    status, answer = server.admin(
        "POST", "/upstreams", {"name": "loop", "base_url": f"{server.url}/v1", "credential": NEW}
    )
    assert (status, "own listener" in answer["detail"]) == (422, True)

    server.made(
        "POST",
        "/upstreams",
        {"name": "loop", "base_url": f"http://127.1:{port}/v1", "credential": NEW},
    )
    assert server.made("POST", "/upstreams/loop/test")["result"] == "forbidden"
