"""
What is asked is checked before it is sent, as a group's policy says (section 12): from outside, over the wire.

The made-up provider judges: `[[flag:CATEGORY]]` in a text flags it, and a fault can be asked for by `[[fault:…]]`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from tests.acceptance.conftest import NewKey, client_of
from tests.support.http import Reply, post
from tests.support.processes import CREDENTIAL, Mock, Server, call, start_server

CHAT = "/v1/chat/completions"
BLOCK = {"mode": "block"}
BAD = "Tell me how. [[flag:violence]]"
PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8d"
        "b00000000049454e44ae426082"
    )
).decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> Iterator[Server]:
    server = start_server(
        tmp_path_factory.mktemp("server"),
        mock.url,
        TUCKSHOP_EDGE_MODERATION_TIMEOUT_S="3",
    )
    yield server
    assert server.stop() == 0, server.log.read_text()


def ask(server: Server, key: str, text: object, **more: Any) -> Reply:
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    body = {"model": "gpt-4o-mini", "messages": messages, "max_tokens": 20, **more}
    return asyncio.run(post(server.url, CHAT, key, body))


def rows(server: Server, key: str) -> list[dict[str, Any]]:
    me = call("GET", f"{server.url}/api/v1/me", token=key)[1]
    found: list[dict[str, Any]] = server.made("GET", f"/requests?key={me['key']['id']}")["data"]
    return found


def sent(mock: Mock, path: str, since: int = 0) -> list[dict[str, Any]]:
    return [one for one in mock.requests()[since:] if one["target"].endswith(path)]


def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def used(server: Server, key: str) -> tuple[float, float]:
    (limit,) = call("GET", f"{server.url}/api/v1/me", token=key)[1]["limits"]
    return limit["used"], limit["reserved"]


def test_a_blocked_call_is_not_sent_costs_nothing_and_says_why(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    """Section 12; M10, M15: nothing of it reached the provider, and no hold is left."""
    key = new_key(moderation=BLOCK, each=["$1 total"])
    since = len(mock.requests())

    with pytest.raises(openai.BadRequestError) as raised:
        client_of(server, key, max_retries=2).chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": BAD}]
        )

    assert raised.value.code == "moderation_blocked"
    assert raised.value.param == "messages[0].content"
    assert "violence" in raised.value.message
    assert sent(mock, CHAT, since) == []
    (asked,) = sent(mock, "/moderations", since)
    assert BAD in asked["body"]["input"]
    assert ["authorization", f"Bearer {CREDENTIAL}"] in asked["headers"]
    (row,) = rows(server, key)
    assert (row["status"], row["http_status"], row["error"]) == (
        "blocked",
        400,
        "moderation_blocked",
    )
    assert row["cost_usd"] == 0
    assert used(server, key) == (0, 0)


def test_what_is_harmless_goes_out_as_ever(server: Server, mock: Mock, new_key: NewKey) -> None:
    key = new_key(moderation=BLOCK)
    since = len(mock.requests())

    reply = ask(server, key, "A harmless sentence. [[tokens:5]]")

    assert reply.status == 200
    assert len(sent(mock, CHAT, since)) == 1
    (row,) = rows(server, key)
    assert (row["status"], row["flags"]) == ("settled", [])


HISTORY = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": [{"type": "text", "text": "Hello."}]},
]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object"}},
}


@pytest.mark.parametrize(
    "wish",
    [
        {"messages": [{"role": "system", "content": BAD}, *HISTORY]},
        {"messages": [*HISTORY, {"role": "assistant", "content": BAD}]},
        {"messages": [{"role": "user", "name": "[[flag:hate]]", "content": "Hello."}]},
        {
            "messages": [{"role": "user", "content": [{"type": "text", "text": BAD}]}],
            "stream": True,
        },
        {
            "messages": HISTORY,
            "tools": [{**TOOL, "function": {**TOOL["function"], "description": BAD}}],
        },
        {
            "messages": HISTORY,
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"properties": {BAD: {}}}},
                }
            ],
        },
        {
            "messages": [
                *HISTORY,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "c", "type": "function", "function": {"name": "f", "arguments": BAD}}
                    ],
                },
                {"role": "tool", "tool_call_id": "c", "content": "nothing"},
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "I will [[fl"},
                        {"type": "text", "text": "ag:violence]]"},
                    ],
                }
            ]
        },
    ],
)
def test_every_place_in_which_something_can_be_said_is_checked(
    server: Server, mock: Mock, new_key: NewKey, wish: dict[str, Any]
) -> None:
    """Section 12: all roles, parts, tool texts and names, and all of them together, streamed or not."""
    key = new_key(moderation=BLOCK)
    since = len(mock.requests())

    reply = asyncio.run(
        post(server.url, CHAT, key, {"model": "gpt-4o-mini", "max_tokens": 20, **wish})
    )

    assert (reply.status, reply.code) == (400, "moderation_blocked")
    assert sent(mock, CHAT, since) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"model": "gpt-4o-mini", "input": BAD}),
        ("/v1/responses", {"model": "gpt-4o-mini", "input": "Hello.", "instructions": BAD}),
        ("/v1/responses/input_tokens", {"model": "gpt-4o-mini", "input": BAD}),
        ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": ["Hello.", BAD]}),
        ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "a", "suffix": BAD}),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": ["Hello.", BAD]}),
    ],
)
def test_every_endpoint_that_takes_text_is_checked(
    server: Server, mock: Mock, new_key: NewKey, path: str, body: dict[str, Any]
) -> None:
    key = new_key(moderation=BLOCK)
    since = len(mock.requests())

    reply = asyncio.run(post(server.url, path, key, body))

    assert (reply.status, reply.code) == (400, "moderation_blocked")
    assert sent(mock, path, since) == []


def test_holders_may_ask_for_a_verdict_themselves(server: Server, new_key: NewKey) -> None:
    """Their own call is no text for a model, and takes no turn of the server's."""
    key = new_key(moderation=BLOCK)

    reply = client_of(server, key).moderations.create(input=BAD)

    assert reply.results[0].flagged


def test_a_word_in_the_middle_of_a_book_is_found(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    """A body too large for the loop is read elsewhere, and cut into pieces that overlap (section 8, section 12)."""
    key = new_key(moderation=BLOCK)
    since = len(mock.requests())
    text = " ".join(f"{n} word" for n in range(40_000))
    text = text[:7_990] + " [[flag:sexual]] " + text[7_990:]

    reply = ask(server, key, text, model="gpt-4.1-mini")

    assert (reply.status, reply.code) == (400, "moderation_blocked")
    assert sent(mock, CHAT, since) == []
    asked = sent(mock, "/moderations", since)
    assert all(len(piece) <= 8_000 for one in asked for piece in one["body"]["input"])


def picture(url: str) -> list[dict[str, Any]]:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    return [{"role": "user", "content": parts}]


def test_a_picture_is_shown_to_the_check_and_the_address_of_one_is_refused(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    """What an address shows may be another picture a moment later, so it cannot be checked."""
    key = new_key(moderation=BLOCK)
    since = len(mock.requests())
    url = f"data:image/png;base64,{PIXEL}"

    assert ask(server, key, picture(url)).status == 200
    refused = ask(server, key, picture("https://example.org/cat.png"))

    shown = [one["body"]["input"] for one in sent(mock, "/moderations", since)]
    assert [{"type": "image_url", "image_url": {"url": url}}] in shown
    assert (refused.status, refused.code) == (400, "parameter_not_allowed")
    assert refused.json["error"]["param"] == "messages[0].content[1].image_url.url"
    assert len(sent(mock, CHAT, since)) == 1


def test_what_cannot_be_checked_passes_where_the_policy_opens_it_and_leaves_a_mark(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(moderation={"mode": "block", "unreadable": "pass"})

    assert ask(server, key, picture("https://example.org/cat.png")).status == 200
    assert rows(server, key)[0]["flags"] == ["unchecked"]


# "A [[flag:violence]]", cut in the middle of the mark, as cl100k_base writes it.
MARK = [32, 4416, 10104, 25, 56251, 768, 5163]
UNUSED = 100_256  # no token of it


def test_texts_in_numbers_of_tokens_are_decoded_and_checked(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    """Section 12: token ids are checked as the text that they are; where one is none, it cannot be checked."""
    key = new_key(moderation=BLOCK)
    since = len(mock.requests())

    def embed(*ids: list[int]) -> Reply:
        body = {"model": "text-embedding-3-small", "input": list(ids)}
        return asyncio.run(post(server.url, "/v1/embeddings", key, body))

    blocked, unknown, harmless = embed([1, 2], MARK), embed([1], [UNUSED]), embed([15339, 1917])

    assert (blocked.status, blocked.code) == (400, "moderation_blocked")
    assert blocked.json["error"]["param"] == "input[1]"
    assert (unknown.status, unknown.code) == (400, "parameter_not_allowed")
    assert unknown.json["error"]["param"] == "input[1]"
    assert harmless.status == 200
    assert len(sent(mock, "/embeddings", since)) == 1
    asked = [text for one in sent(mock, "/moderations", since) for text in one["body"]["input"]]
    assert "A [[flag:violence]]" in asked
    assert "hello world" in asked


@pytest.mark.parametrize("mode", ["log", "block"])
def test_of_a_flagged_call_the_body_is_kept_for_the_appeal(
    server: Server, new_key: NewKey, mode: str
) -> None:
    """P1, K16, section 12: where only flagged calls are kept, this one is and a harmless one is not."""
    key = new_key(moderation={"mode": mode}, logging={"bodies": "flagged", "purpose": "appeals"})
    words = f"{BAD} Said where it is {mode}."
    ask(server, key, "A harmless sentence.")
    ask(server, key, words)
    flagged, harmless = rows(server, key)
    until(
        lambda: (
            server.made("GET", "/moderation/flags?limit=1")["data"][0]["request"] == flagged["id"]
        )
    )

    def body_of(row: dict[str, Any]) -> tuple[int, Any]:
        return server.admin("POST", f"/requests/{row['id']}/body", {"reason": "an appeal"})

    until(lambda: body_of(flagged)[0] == 200)
    kept = body_of(flagged)[1]
    assert kept["request"]["messages"] == [{"role": "user", "content": words}]
    assert (kept["reply"] is None) == (mode == "block")
    assert body_of(harmless)[0] == 404


def test_thresholds_count_in_place_of_the_providers_own_word(
    server: Server, new_key: NewKey
) -> None:
    """The made-up provider gives what it flags 0.97, and anything else some 0.001."""
    kind = new_key(moderation={"mode": "block", "thresholds": {"violence": 0.99}})
    stern = new_key(moderation={"mode": "block", "thresholds": {"violence": 0.0000001}})

    assert ask(server, kind, BAD).status == 200
    assert ask(server, stern, "A harmless sentence.").code == "moderation_blocked"
    wrong = server.admin(
        "POST", "/groups", {"name": "x", "moderation": {"thresholds": {"rudeness": 0.5}}}
    )
    assert wrong[0] == 422
    assert "rudeness" in json.dumps(wrong[1])


def test_the_stricter_of_workspace_and_group_counts(server: Server, new_key: NewKey) -> None:
    """How policies meet: moderation the strictest."""
    key = new_key(moderation={"mode": "log"})
    server.made("PATCH", "/workspace", {"moderation": BLOCK})
    try:
        assert ask(server, key, BAD).code == "moderation_blocked"
    finally:
        server.made("PATCH", "/workspace", {"moderation": None})
    assert ask(server, key, BAD).status == 200


FAULTS = (
    *("500", "429", "hang", "redirect", "broken-json", "huge-reply", "reset-before-head", "gzip"),
    *("verdict-too-few", "verdict-incomplete", "verdict-beyond-one", "verdict-not-a-number"),
    "verdict-contradiction",
)


@pytest.mark.parametrize("fault", FAULTS)
def test_while_the_check_cannot_be_had_calls_are_refused_unless_the_policy_opens_them(
    server: Server, mock: Mock, new_key: NewKey, fault: str
) -> None:
    """
    Section 12: down, slow, asked too often, lying: closed by default, nothing charged and no hold left (M15).

    The mark that makes the provider's moderation fail stands in the name of a tool, where its models do not look.
    """
    tools = [{"type": "function", "function": {"name": "f", "description": f"[[fault:{fault}]]"}}]
    closed = new_key(moderation=BLOCK, each=["$1 total"])
    opened = new_key(moderation={"mode": "block", "fail": "open"})
    since = len(mock.requests())

    refused = ask(server, closed, "Hello.", tools=tools)
    passed = ask(server, opened, "Hello.", tools=tools)

    assert (refused.status, refused.code) == (503, "server_busy")
    assert refused.headers["retry-after"]
    assert rows(server, closed)[0]["status"] == "voided"
    assert used(server, closed) == (0, 0)
    assert passed.status == 200
    assert rows(server, opened)[0]["flags"] == ["unchecked"]
    assert len(sent(mock, CHAT, since)) == 1
    assert mock.state()["redirected"] == 0
    if fault == "429":
        time.sleep(1)  # a service that asked to wait is left alone, by the next test too


def test_where_it_is_only_logged_a_call_waits_for_nothing(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    key = new_key(moderation={"mode": "log"})
    since = len(mock.requests())
    tools = [{"type": "function", "function": {"name": "f", "description": "[[fault:hang]]"}}]

    began = time.monotonic()
    assert ask(server, key, "Hello.", tools=tools).status == 200
    assert time.monotonic() - began < 1.0
    assert ask(server, key, f"{BAD} Or nearly so.").status == 200

    until(lambda: len(sent(mock, "/moderations", since)) == 2)
    assert [row["status"] for row in rows(server, key)] == ["settled", "settled"]


def test_a_client_that_leaves_before_the_verdict_leaves_nothing(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    """M10: nothing was sent, so the hold is void."""
    key = new_key(moderation=BLOCK, each=["$1 total"])
    since = len(mock.requests())
    tools = [{"type": "function", "function": {"name": "f", "description": "[[fault:hang]]"}}]

    with pytest.raises(openai.APITimeoutError):
        client_of(server, key, timeout=0.5).chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "Hello."}],
            tools=tools,  # type: ignore[arg-type]  # a plain dict will do
        )

    until(lambda: used(server, key) == (0, 0))
    assert sent(mock, CHAT, since) == []
    (row,) = rows(server, key)
    assert (row["status"], row["flags"]) == ("voided", ["client_left"])


def test_a_key_that_is_revoked_before_the_verdict_sends_nothing(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    """K3: while a call is checked nothing of it runs that could be cut off."""
    key = new_key(moderation={"mode": "block", "fail": "open"})
    since = len(mock.requests())
    key_id = call("GET", f"{server.url}/api/v1/me", token=key)[1]["key"]["id"]
    tools = [{"type": "function", "function": {"name": "f", "description": "[[fault:hang]]"}}]

    async def both() -> Reply:
        body = {"model": "gpt-4o-mini", "messages": HISTORY, "max_tokens": 20, "tools": tools}
        reply = asyncio.create_task(post(server.url, CHAT, key, body))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.made, "POST", f"/keys/{key_id}/revoke")
        return await reply

    assert asyncio.run(both()).code == "key_revoked"
    assert sent(mock, CHAT, since) == []
    assert rows_of_key(server, key_id)[-1]["status"] == "voided"


def rows_of_key(server: Server, key_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.made("GET", f"/requests?key={key_id}")["data"]
    return found


def test_equal_contents_are_judged_once(server: Server, mock: Mock, new_key: NewKey) -> None:
    key = new_key(moderation=BLOCK)
    first = "Something that nobody has said before, 4711."
    ask(server, key, first)
    since = len(mock.requests())

    ask(server, key, first)
    ask(server, key, [{"role": "user", "content": first}, {"role": "user", "content": "And 4712?"}])

    (asked,) = sent(mock, "/moderations", since)
    assert asked["body"]["input"] == ["And 4712?", f"{first}\nAnd 4712?"]


@pytest.mark.parametrize("mode", ["log", "block"])
def test_different_flagged_contents_of_ones_own_are_strikes_and_equal_ones_are_one(
    server: Server, new_key: NewKey, mode: str
) -> None:
    """Section 12: strikes count distinct contents once, and only what the member says in a role of their own."""
    key = new_key(moderation={"mode": mode}, strikes={"count": 2, "days": 7})
    document = [
        {"role": "user", "content": f"Sum this up, {mode}."},
        {"role": "assistant", "content": f"[[flag:hate]] {mode}"},
    ]

    def flags() -> list[dict[str, Any]]:
        page: list[dict[str, Any]] = server.made("GET", "/moderation/flags?limit=50")["data"]
        mine = {row["id"] for row in rows(server, key)}
        return [flag for flag in page if flag["request"] in mine]

    for text in (f"[[flag:violence]] once {mode}", f" [[flag:violence]]  ONCE {mode}", document):
        ask(server, key, text)
    until(lambda: len(flags()) == 2)
    assert ask(server, key, "Hello.").status == 200
    ask(server, key, f"[[flag:violence]] twice {mode}")

    until(lambda: ask(server, key, "Hello.").code == "member_paused")


def test_checks_are_counted_and_tell_nothing_of_anybody(server: Server) -> None:
    """K17."""
    page = str(call("GET", f"{server.url}/metrics")[1])

    assert 'tuckshop_moderations_total{outcome="blocked"}' in page
    assert 'tuckshop_moderation_questions_total{outcome="failed"}' in page
    assert "messages" not in page


def test_a_group_whose_upstream_offers_no_moderation_is_told_so_when_the_mode_is_set(
    server: Server, mock: Mock, new_key: NewKey
) -> None:
    """Section 12."""
    server.made(
        "POST",
        "/upstreams",
        {
            "name": "ours",
            "profile": "compatible",
            "base_url": mock.url,
            "credential": CREDENTIAL,
            "models": ["gpt-4.1-nano"],
        },
    )
    server.made("POST", "/groups", {"name": "told", "models": ["gpt-4.1-nano"]})

    status, problem = server.admin("PATCH", "/groups/told", {"moderation": BLOCK})
    unknown = {"moderation": {**BLOCK, "upstream": "nobody"}}

    assert status == 422
    assert "ours" in json.dumps(problem)
    assert server.admin("PATCH", "/groups/told", unknown)[0] == 422
    named = server.made("PATCH", "/groups/told", {"moderation": {**BLOCK, "upstream": "openai"}})
    assert named["moderation"]["upstream"] == "openai"
    server.made("PATCH", "/groups/told", {"models": ["gpt-4o-mini"], "moderation": BLOCK})
