"""A group's own rules, from outside: what is refused, what is changed on its way, and what staff see of it."""

from __future__ import annotations

import time
from typing import Any

import openai
import pytest

from tests.acceptance.conftest import NewKey, client_of
from tests.support.processes import Mock, Server

MODEL = "gpt-4o-mini"
IBAN, CARD = "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111"
LARGE = "We met at noon. " * 20_000  # 320 KB: read in the process for large bodies


def chat(client: openai.OpenAI, text: str, **more: Any) -> Any:
    more = {"max_tokens": 20, **more}
    messages = [*more.pop("before", []), {"role": "user", "content": f"{text} [[tokens:5]]"}]
    return client.chat.completions.create(model=MODEL, messages=messages, **more)


def refused(client: openai.OpenAI, text: str, **more: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        chat(client, text, **more)
    return caught.value


def flags_of(server: Server, count: int) -> list[dict[str, Any]]:
    """The newest flags, once there are so many."""
    found: list[dict[str, Any]] = []
    for _ in range(100):
        found = server.made("GET", "/moderation/flags?source=rule")["data"]
        if len(found) >= count:
            break
        time.sleep(0.05)
    assert len(found) >= count
    return found


@pytest.mark.parametrize("size", ["small", "large"])
def test_denied_words_are_refused_before_anything_is_held_and_flagged(
    server: Server, mock: Mock, new_key: NewKey, size: str
) -> None:
    """M15, M12: whichever process reads the body; the refusal does not repeat what was said."""
    more = LARGE if size == "large" else ""
    key = new_key(rules={"deny_words": ["weather report", "Wetter"], "deny_patterns": ["[Ee]ssay"]})
    client = client_of(server, key, max_retries=0)
    before = len(mock.requests())

    error = refused(client, f"{more} tell me the WEATHER\nreport")
    assert (error.status_code, error.code, error.param) == (400, "denied_content", "messages[0]")
    assert "weather" not in error.message.lower()
    assert refused(client, f"{more} my essays, please").code == "denied_content"
    assert refused(client, "\uff37\uff25\uff34\uff34\u00adER?").code == "denied_content"
    assert len(mock.requests()) == before
    assert chat(client, f"{more} Whatever the weather, I report it.").usage

    flags = flags_of(server, 3)
    assert {tuple(flag["reasons"]) for flag in flags} >= {("deny_words",), ("deny_patterns",)}
    assert {flag["action"] for flag in flags} == {"blocked"}
    row = server.made("GET", "/requests?status=refused&limit=1")["data"][0]
    assert (row["error"], row["cost_usd"]) == ("denied_content", 0)


@pytest.mark.parametrize("size", ["small", "large"])
def test_personal_data_is_redacted_in_what_is_sent(
    server: Server, mock: Mock, new_key: NewKey, size: str
) -> None:
    """M12: what was checked and priced is what is sent. Answers are not changed."""
    more = LARGE if size == "large" else ""
    key = new_key(rules={"pii": {"email": "redact", "iban": "block", "phone": "flag"}})
    client = client_of(server, key, max_retries=0)

    chat(client, f"{more} I am ada@uni-example.de, +49 30 901820. {CARD}")

    sent = mock.requests()[-1]["body"]["messages"][0]["content"]
    assert f"I am [email], +49 30 901820. {CARD}" in sent
    error = refused(client, f"{more} pay to {IBAN}")
    assert (error.status_code, error.code) == (400, "personal_data")
    assert "IBAN" in error.message
    assert IBAN not in error.message


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_groups_system_prompt_comes_first(
    server: Server, mock: Mock, new_key: NewKey, size: str
) -> None:
    more = LARGE if size == "large" else ""
    prompt = {"text": "You teach botany, and nothing else."}
    client = client_of(server, new_key(rules={"system_prompt": prompt}), max_retries=0)
    own = {"role": "system", "content": "Speak German."}

    plain = chat(client, f"{more}Hello.")
    chat(client, f"{more}Hello.", before=[own])

    first, second = (one["body"]["messages"] for one in mock.requests()[-2:])
    assert first[0] == {"role": "system", "content": prompt["text"]}
    assert [message["role"] for message in second] == ["system", "system", "user"]
    assert plain.usage.prompt_tokens > 8, "it is billed, and was priced"
    client.responses.create(model=MODEL, input=f"{more}Hello. [[tokens:5]]", instructions="Short.")
    assert mock.requests()[-1]["body"]["instructions"] == f"{prompt['text']}\n\nShort."
    with pytest.raises(openai.PermissionDeniedError, match="You may use: chat, responses"):
        client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Hello.")


@pytest.mark.parametrize("size", ["small", "large"])
def test_where_it_is_enforced_nobody_else_instructs_the_model(
    server: Server, new_key: NewKey, size: str
) -> None:
    more = LARGE if size == "large" else ""
    prompt = {"text": "You teach botany, and nothing else.", "mode": "enforce"}
    client = client_of(server, new_key(rules={"system_prompt": prompt}), max_retries=0)

    for role in ("system", "developer", "System", "root"):
        error = refused(client, f"{more}Hello.", before=[{"role": role, "content": "Obey."}])
        assert (error.status_code, error.code) == (400, "system_message_not_allowed")
        assert error.param == "messages[0].role"
    with pytest.raises(openai.BadRequestError, match="instructions"):
        client.responses.create(model=MODEL, input="Hello.", instructions="Obey.")
    assert chat(client, f"{more}Hello.").usage


def test_input_is_counted_exactly_before_it_is_too_long(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(rules={"max_input_tokens": 400}), max_retries=0)

    assert chat(client, "seventeen " * 200).usage  # 2,000 bytes, and 400 tokens at most
    error = refused(client, "seventeen " * 2_000)

    assert (error.status_code, error.code) == (400, "input_too_long")
    assert "400" in error.message


def test_only_the_tools_of_the_group_may_be_offered(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(rules={"tools": ["look_*"]}), max_retries=0)

    def tool(name: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}

    assert chat(client, "Hello.", tools=[tool("look_up")]).usage
    error = refused(client, "Hello.", tools=[tool("look_up"), tool("send_mail")])
    assert (error.status_code, error.code, error.param) == (
        400,
        "parameter_not_allowed",
        "tools[1]",
    )
    assert "look_*" in error.message


def test_calls_come_at_their_hours_and_from_their_networks(server: Server, new_key: NewKey) -> None:
    closed = client_of(server, new_key(rules={"hours": []}), max_retries=0)
    always = client_of(server, new_key(rules={"hours": ["Mon-Sun 00:00-24:00"]}), max_retries=0)
    away = client_of(server, new_key(rules={"networks": ["192.0.2.0/24"]}), max_retries=0)
    here = client_of(server, new_key(rules={"networks": ["127.0.0.0/8"]}), max_retries=0)

    assert (refused(closed, "Hello.").status_code, refused(closed, "Hello.").code) == (
        403,
        "outside_hours",
    )
    assert (refused(away, "Hello.").status_code, refused(away, "Hello.").code) == (
        403,
        "network_not_allowed",
    )
    with pytest.raises(openai.PermissionDeniedError):
        away.models.list()
    assert chat(always, "Hello.").usage
    assert chat(here, "Hello.").usage


def test_tokens_in_numbers_cannot_hide_a_word(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(rules={"deny_words": ["weather"]}), max_retries=0)

    with pytest.raises(openai.BadRequestError, match="send text"):
        client.embeddings.create(model="text-embedding-3-small", input=[[1, 2, 3]])
    assert client.embeddings.create(model="text-embedding-3-small", input="a tree").data
