"""Responses and Completions against the official client's own types: no member missing, none added."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types import Completion
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.unit.mock_upstream.conftest import Mock
from tests.unit.mock_upstream.test_official_client import (
    assert_exact,
    assert_nothing_extra,
    client,
    refused,
)

__all__ = ["client"]

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOOL: Any = {
    "type": "function",
    "name": "count_coins",
    "strict": False,
    "parameters": {"type": "object", "properties": {"coins": {"type": "integer"}}},
}
CUSTOM: Any = {"type": "custom", "name": "shell", "description": "runs it"}
# Members of newer types that the real one leaves out where they say nothing.
NOT_KNOWN = {"obfuscation"}


def respond(client: openai.OpenAI, prompt: Any = "hello", **more: Any) -> Response:
    raw = client.responses.with_raw_response.create(
        **({"model": "gpt-4o-mini", "input": prompt} | more)
    )
    reply: Response = assert_exact(Response, raw.content)
    return reply


def events(client: openai.OpenAI, prompt: str = "hello", **more: Any) -> list[Any]:
    call = client.responses.with_raw_response.create(
        stream=True, **({"model": "gpt-4o-mini", "input": prompt} | more)
    )
    found = []
    for text in call.http_response.read().decode().split("\n\n")[:-1]:
        name, _, data = text.partition("\ndata: ")
        event = EVENT.validate_json(data)
        plain = json.loads(data)
        assert name == f"event: {plain['type']}"
        assert {*(event.model_extra or {})} <= NOT_KNOWN
        for field in type(event).model_fields:
            assert_nothing_extra(getattr(event, field))
        found.append(event)
    assert [event.sequence_number for event in found] == list(range(len(found)))
    return found


def test_a_reply_has_every_member_and_no_other(client: openai.OpenAI) -> None:
    reply = respond(client, "hello [[tokens:7]]")

    assert reply.status == "completed"
    assert reply.usage is not None
    assert reply.usage.output_tokens == 7
    assert reply.model == "gpt-4o-mini-2024-07-18"


def test_a_cap_leaves_the_response_incomplete(client: openai.OpenAI) -> None:
    reply = respond(client, "[[tokens:40]]", max_output_tokens=16)

    assert reply.status == "incomplete"
    assert reply.incomplete_details is not None
    assert reply.incomplete_details.reason == "max_output_tokens"
    error = refused(400, respond, client=client, max_output_tokens=15)
    assert error["code"] == "integer_below_min_value"


def test_a_model_that_reasons_shows_an_item_of_it_sealed_if_asked(client: openai.OpenAI) -> None:
    reply = respond(
        client,
        model="gpt-5-mini",
        reasoning={"effort": "low"},
        include=["reasoning.encrypted_content"],
    )

    assert [item.type for item in reply.output] == ["reasoning", "message"]
    assert reply.usage is not None
    assert reply.usage.output_tokens_details.reasoning_tokens == 64


@pytest.mark.parametrize(("tool", "kind"), [(TOOL, "function_call"), (CUSTOM, "custom_tool_call")])
def test_a_tool_is_called_and_its_result_is_answered(
    client: openai.OpenAI, tool: Any, kind: str
) -> None:
    reply = respond(client, "count", tools=[tool])

    assert [item.type for item in reply.output] == [kind]
    given = [item.model_dump(exclude_none=True) for item in reply.output]
    given.append({"type": f"{kind}_output", "call_id": given[0]["call_id"], "output": "7"})
    assert respond(client, given, tools=[tool]).output_text


@pytest.mark.parametrize("more", [{}, {"tools": [TOOL]}, {"model": "gpt-5-mini"}])
def test_a_stream_tells_what_the_reply_does(client: openai.OpenAI, more: Any) -> None:
    told = events(client, "hello", **more)

    reply = respond(client, "hello", **more)
    last = told[-1].response
    assert last.usage == reply.usage
    assert last.output_text == reply.output_text
    assert (
        "".join(e.delta for e in told if e.type == "response.output_text.delta") == last.output_text
    )


def test_nothing_is_kept_so_nothing_is_found(client: openai.OpenAI) -> None:
    error = refused(400, respond, client=client, previous_response_id="resp_1")

    assert error["code"] == "previous_response_not_found"


def test_tokens_are_counted_as_they_are_billed(client: openai.OpenAI) -> None:
    counted = client.responses.input_tokens.count(model="gpt-4o-mini", input="hello", tools=[TOOL])

    reply = respond(client, "hello", tools=[TOOL])
    assert reply.usage is not None
    assert counted.input_tokens == reply.usage.input_tokens


def test_pictures_count_by_their_pixels(client: openai.OpenAI) -> None:
    def tokens(url: str, detail: str) -> int:
        part = {"type": "input_image", "image_url": url, "detail": detail}
        reply = respond(client, [{"role": "user", "content": [part]}])
        assert reply.usage is not None
        return reply.usage.input_tokens

    small = tokens("https://x/?size=512x512", "low")

    assert tokens("https://x/?size=512x512", "high") == small + 5_667
    assert tokens("https://x/", "high") == small + 4 * 5_667


def complete(client: openai.OpenAI, **given: Any) -> Completion:
    raw = client.completions.with_raw_response.create(
        **({"model": "gpt-3.5-turbo-instruct", "prompt": "Once"} | given)
    )
    reply: Completion = assert_exact(Completion, raw.content)
    return reply


def test_a_completion_goes_on_for_each_prompt_and_bills_every_try(client: openai.OpenAI) -> None:
    reply = complete(client, prompt=["Once", "Twice"], n=2, best_of=3, echo=True, logprobs=1)

    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    assert [choice.text.split()[0][:4] for choice in reply.choices] == ["Once"] * 2 + ["Twic"] * 2
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 6 * 16


def test_a_streamed_completion_says_the_same(client: openai.OpenAI) -> None:
    call = client.completions.with_raw_response.create(
        model="babbage-002", prompt=[1, 2, 3], stream=True, stream_options={"include_usage": True}
    )
    texts = call.http_response.read().decode().split("\n\n")
    assert texts[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(text.removeprefix("data: ")) for text in texts[:-2]]

    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 16
    said = "".join(c["text"] for chunk in chunks for c in chunk["choices"])
    assert said == complete(client, model="babbage-002", prompt=[1, 2, 3]).choices[0].text


def test_each_endpoint_has_its_models(client: openai.OpenAI, mock: Mock) -> None:
    assert refused(404, complete, client=client, model="gpt-4o-mini")["param"] == "model"
    assert refused(404, respond, client=client, model="babbage-002")["param"] == "model"
    assert respond(client, model="gpt-5-codex").output_text
