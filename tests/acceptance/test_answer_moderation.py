"""
Answers are checked before they are passed on, as a group's policy says (section 12): from outside, over the wire.

The made-up provider answers what `[[echo:…]]` says, its double braces as brackets, and judges by `[[flag:CATEGORY]]`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import openai
import pytest

from tests.acceptance.conftest import NewKey, client_of
from tests.support.http import Reply, post
from tests.support.processes import Mock, Server, call, start_server

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
BLOCK = {"mode": "off", "outputs": "block"}
BAD = "[[echo:Once upon a time there was {{flag:violence}} and much more.]]"
LONG = (
    "[[echo:"
    + "All is well in the tuck shop today. " * 40
    + "{{flag:violence}} "
    + "x " * 400
    + "]]"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> Iterator[Server]:
    server = start_server(
        tmp_path_factory.mktemp("server"), mock.url, TUCKSHOP_EDGE_MODERATION_TIMEOUT_S="3"
    )
    yield server
    assert server.stop() == 0, server.log.read_text()


def ask(server: Server, key: str, text: str, path: str = CHAT, **more: Any) -> Reply:
    body: dict[str, Any] = {"model": "gpt-4o-mini", **more}
    if path == CHAT:
        body |= {"messages": [{"role": "user", "content": text}], "max_tokens": 2_000}
    else:
        body |= {"input": text, "max_output_tokens": 2_000}
    return asyncio.run(post(server.url, path, key, body))


def rows(server: Server, key: str) -> list[dict[str, Any]]:
    me = call("GET", f"{server.url}/api/v1/me", token=key)[1]
    found: list[dict[str, Any]] = server.made("GET", f"/requests?key={me['key']['id']}")["data"]
    return found


def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def flags(server: Server, key: str) -> list[dict[str, Any]]:
    page: list[dict[str, Any]] = server.made("GET", "/moderation/flags?source=output")["data"]
    mine = {row["id"] for row in rows(server, key)}
    return [flag for flag in page if flag["request"] in mine]


def asked(mock: Mock, since: int) -> list[str]:
    """Texts that the moderation was asked about."""
    return [
        text
        for one in mock.requests()[since:]
        if one["target"].endswith("/moderations")
        for text in one["body"]["input"]
    ]


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_flagged_answer_is_not_passed_on_and_is_charged(
    server: Server, mock: Mock, new_key: NewKey, path: str
) -> None:
    """M5, section 12: held whole; the model has written it, so its usage is charged exactly; a flag says why."""
    key = new_key(moderation=BLOCK)

    reply = ask(server, key, BAD, path)

    assert (reply.status, reply.code) == (400, "moderation_blocked")
    assert "answer" in reply.json["error"]["message"]
    assert "violence" in reply.json["error"]["message"]
    assert b"Once upon" not in reply.body
    (row,) = rows(server, key)
    assert row["status"] == "settled"
    assert row["cost_usd"] > 0
    until(lambda: len(flags(server, key)) == 1)
    assert rows(server, key)[0]["flags"] == ["flagged"]
    (flag,) = flags(server, key)
    assert (flag["action"], flag["own"], flag["reasons"]) == ("blocked", False, ["violence"])


def streamed(client: openai.OpenAI, path: str) -> Iterator[str]:
    """What the official client reads of a stream."""
    if path == CHAT:
        messages: Any = [{"role": "user", "content": LONG}]
        for chunk in client.chat.completions.create(
            model="gpt-4o-mini", messages=messages, stream=True, max_tokens=2_000
        ):
            yield (chunk.choices[0].delta.content or "") if chunk.choices else ""
    else:
        for event in client.responses.create(
            model="gpt-4o-mini", input=LONG, stream=True, max_output_tokens=2_000
        ):
            if event.type == "error":  # the client hands it on as an event
                raise openai.APIError(event.message, cast("Any", None), body={"code": event.code})
            yield str(getattr(event, "delta", ""))


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_flagged_stream_ends_with_an_error_in_its_own_style_and_nothing_of_it_was_sent(
    server: Server, new_key: NewKey, path: str
) -> None:
    """M5, M9: pieces are held back until they are checked; the usage is read on to."""
    key = new_key(moderation=BLOCK)

    pieces: list[str] = []

    with pytest.raises(openai.APIError) as raised:
        pieces.extend(streamed(client_of(server, key, max_retries=2), path))

    text = "".join(pieces)
    assert raised.value.code == "moderation_blocked"
    assert "flag:violence" not in text
    assert "x x" not in text
    until(lambda: rows(server, key)[0]["status"] == "settled")
    (row,) = rows(server, key)
    assert row["output_tokens"] > 500  # all of the answer, not what was passed on
    assert "unconfirmed" not in row["flags"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_harmless_answer_comes_as_it_was(
    server: Server, mock: Mock, new_key: NewKey, path: str, stream: bool
) -> None:
    """M12's counterpart: not a byte of an answer is changed, and all of it was judged."""
    held, plain = new_key(moderation=BLOCK), new_key()
    words = [f"word {n} of {path} {stream}" for n in range(120)]
    text = f"[[echo:{' '.join(words)}]]"
    since = len(mock.requests())

    one, other = (ask(server, key, text, path, stream=stream) for key in (held, plain))

    assert one.status == 200
    assert said(one, stream) == said(other, stream)
    assert words[-1] in said(one, stream)
    judged = " ".join(asked(mock, since))
    assert all(one in judged for one in words)
    assert rows(server, held)[0]["output_tokens"] == rows(server, plain)[0]["output_tokens"]


def said(reply: Reply, is_stream: bool) -> str:
    """All texts, without what is new each time."""
    bodies = reply.body.split(b"\n") if is_stream else [b"data: " + reply.body]
    found: list[str] = []

    def walk(node: Any, name: str = "") -> None:
        if isinstance(node, str) and name in ("content", "text", "delta"):
            found.append(node)
        elif isinstance(node, dict):
            for name, value in node.items():
                walk(value, name)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    for line in bodies:
        if line.startswith(b"data: {"):
            walk(json.loads(line[6:]))
    return "".join(found)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["500", "hang", "broken-json", "verdict-too-few"])
def test_while_the_check_cannot_be_had_answers_do_not_pass_unless_the_policy_opens_it(
    server: Server, mock: Mock, new_key: NewKey, fault: str, stream: bool
) -> None:
    """Section 12: down, slow, lying. The answer was made, so it is charged, and the client is not to try again."""
    text = f"[[echo:Say {fault} {{{{fault:{fault}}}}} again]]"
    closed = new_key(moderation=BLOCK)
    opened = new_key(moderation={**BLOCK, "fail": "open"})

    refused = ask(server, closed, text, stream=stream)
    passed = ask(server, opened, text, stream=stream)

    if stream:
        last = refused.body.strip().split(b"\n\n")[-1].removeprefix(b"data: ")
        assert json.loads(last)["error"]["code"] == "server_busy"
    else:
        assert (refused.status, refused.code) == (503, "server_busy")
        assert refused.headers["x-should-retry"] == "false"
    assert "again" not in said(refused, stream)
    assert rows(server, closed)[0]["status"] == "settled"
    assert rows(server, closed)[0]["cost_usd"] > 0
    assert passed.status == 200
    assert "again" in said(passed, stream)


def test_where_answers_are_only_logged_nothing_waits_and_a_flag_is_written(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    key = new_key(moderation={"mode": "off", "outputs": "log"})

    for stream in (False, True):
        reply = ask(server, key, BAD.replace("Once", f"Once {stream}"), stream=stream)
        assert reply.status == 200
        assert "flag:violence" in said(reply, stream)

    until(lambda: len(flags(server, key)) == 2)
    assert {flag["action"] for flag in flags(server, key)} == {"noted"}
    began = time.monotonic()
    assert ask(server, key, "[[echo:Wait {{fault:hang}}]]").status == 200
    assert time.monotonic() - began < 1.0


def test_a_client_that_leaves_while_its_answer_is_held_pays_what_was_made(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    """M5, M6: nothing hangs; the row is settled once, by the usage."""
    key = new_key(moderation=BLOCK, each=["$1 total"])

    with contextlib.suppress(openai.APITimeoutError):
        client_of(server, key, timeout=0.4, max_retries=0).chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "[[echo:Hold on {{fault:hang}}]]"}],
        )

    until(lambda: rows(server, key)[0]["status"] == "settled")
    (limit,) = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"]
    assert limit["reserved"] == 0
    assert limit["used"] > 0


def test_a_key_that_is_revoked_while_its_answer_is_held_gets_none_of_it(
    server: Server, new_key: NewKey
) -> None:
    """K3: within a second, whether the upstream is still at it or not."""
    key = new_key(moderation=BLOCK)
    key_id = call("GET", f"{server.url}/api/v1/me", token=key)[1]["key"]["id"]

    async def both() -> Reply:
        messages = [{"role": "user", "content": "[[echo:Hold on {{fault:hang}}]]"}]
        body = {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 50, "stream": True}
        reply = asyncio.create_task(post(server.url, CHAT, key, body))
        await asyncio.sleep(0.4)
        await asyncio.to_thread(server.made, "POST", f"/keys/{key_id}/revoke")
        return await reply

    reply = asyncio.run(both())
    assert b"key_revoked" in reply.body
    assert b"Hold" not in reply.body


def test_of_a_flagged_answer_the_body_is_kept_for_the_appeal(
    server: Server, new_key: NewKey
) -> None:
    """P1, K16: what the client did not get, staff can read with a reason."""
    key = new_key(moderation=BLOCK, logging={"bodies": "flagged", "purpose": "appeals"})
    ask(server, key, BAD)
    (row,) = rows(server, key)

    def body() -> tuple[int, Any]:
        return server.admin("POST", f"/requests/{row['id']}/body", {"reason": "an appeal"})

    until(lambda: body()[0] == 200)
    assert "Once upon a time" in json.dumps(body()[1]["reply"])


def test_what_is_asked_and_what_is_answered_are_checked_apart(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    """A group may block one and log the other; without outputs nothing is asked about answers."""
    key = new_key(moderation={"mode": "block"})
    since = len(mock.requests())

    assert ask(server, key, BAD).status == 200
    assert not any("[[flag:" in text for text in asked(mock, since))
    both = new_key(moderation={"mode": "block", "outputs": "block"})
    assert ask(server, both, "[[flag:hate]]").code == "moderation_blocked"
    assert rows(server, both)[0]["status"] == "blocked"
