"""The replies and streams against the official client's own types: no member missing, none added."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai.types import CreateEmbeddingResponse, Model, ModerationCreateResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, ConfigDict, create_model

from tests.unit.mock_upstream.conftest import Mock

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "count_coins",
        "parameters": {
            "type": "object",
            "properties": {
                "coins": {"type": "array", "items": {"type": "integer", "minimum": 1}},
                "currency": {"enum": ["EUR", "USD"]},
            },
            "required": ["coins"],
        },
    },
}


@pytest.fixture
def client(mock: Mock) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=mock.url, api_key="sk-any", max_retries=0) as client:
        yield client


def assert_exact(kind: type[BaseModel], raw: bytes | str) -> Any:
    """*raw* is a *kind*: required members are there, types hold without conversion, and nothing is unknown to it."""
    value = kind.model_validate_json(raw, strict=True)
    assert value.model_dump(mode="json", by_alias=True, exclude_unset=True) == json.loads(raw)
    assert_nothing_extra(value)
    return value


def assert_nothing_extra(value: object) -> None:
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{type(value).__name__} does not know {value.model_extra}"
        for name in type(value).model_fields:
            assert_nothing_extra(getattr(value, name))
    elif isinstance(value, list):
        for item in value:
            assert_nothing_extra(item)


def ask(client: openai.OpenAI, prompt: str = "hello", **more: Any) -> ChatCompletion:
    """A chat call; its reply is checked to the last member."""
    given: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": prompt}],
    }
    raw = client.chat.completions.with_raw_response.create(**(given | more))
    reply: ChatCompletion = assert_exact(ChatCompletion, raw.content)
    assert {"logprobs"} <= reply.choices[0].model_fields_set
    assert {"usage", "service_tier", "system_fingerprint"} <= reply.model_fields_set
    assert {"content", "refusal", "annotations"} <= reply.choices[0].message.model_fields_set
    return reply


def stream(client: openai.OpenAI, prompt: str = "hello", **more: Any) -> list[ChatCompletionChunk]:
    """A streamed chat call; every chunk is checked to the last member."""
    given: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": prompt}],
    }
    call = client.chat.completions.with_raw_response.create(stream=True, **(given | more))
    events = call.http_response.read().decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [
        assert_exact(ChatCompletionChunk, event.removeprefix("data: ")) for event in events[:-2]
    ]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    return chunks


def text_of(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    return "".join(
        choice.delta.content or ""
        for chunk in chunks
        for choice in chunk.choices
        if choice.index == index
    )


def refused(status: int, call: Callable[..., Any], **given: Any) -> dict[str, Any]:
    """The error of a call that is refused with *status*: always with its four members."""
    with pytest.raises(openai.APIStatusError) as caught:
        call(**given)
    assert caught.value.status_code == status
    error = caught.value.response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


class TestChat:
    def test_a_plain_reply_has_every_member_and_no_other(self, client: openai.OpenAI) -> None:
        reply = ask(client, "hello [[tokens:7]]")

        assert reply.model == "gpt-4o-mini-2024-07-18"
        assert reply.service_tier == "default"
        assert reply.choices[0].finish_reason == "stop"
        assert reply.usage is not None
        assert reply.usage.completion_tokens == 7
        assert reply.usage.total_tokens == reply.usage.prompt_tokens + 7

    def test_the_same_request_gets_the_same_answer_and_another_one_another(
        self, client: openai.OpenAI
    ) -> None:
        first, again = ask(client, "one"), ask(client, "one", user="somebody else")

        assert first.choices == again.choices
        assert first.id != again.id
        assert ask(client, "two").choices != first.choices

    @pytest.mark.parametrize("cap", ["max_tokens", "max_completion_tokens"])
    def test_an_output_cap_cuts_the_answer(self, client: openai.OpenAI, cap: str) -> None:
        reply = ask(client, "hello [[tokens:50]]", **{cap: 5})

        assert reply.choices[0].finish_reason == "length"
        assert reply.usage is not None
        assert reply.usage.completion_tokens == 5

    def test_an_answer_as_long_as_its_cap_is_not_cut(self, client: openai.OpenAI) -> None:
        assert ask(client, "[[tokens:5]]", max_tokens=5).choices[0].finish_reason == "stop"

    def test_a_default_answer_is_cut_by_a_small_cap(self, client: openai.OpenAI) -> None:
        assert ask(client, "hello", max_tokens=3).choices[0].finish_reason == "length"

    def test_a_stop_sequence_ends_the_text_before_it_and_bills_up_to_it(
        self, client: openai.OpenAI
    ) -> None:
        reply = ask(client, "[[echo:alpha beta gamma delta]]", stop=["gamma", "delta"])

        assert reply.choices[0].message.content == "alpha beta "
        assert reply.choices[0].finish_reason == "stop"
        assert reply.usage is not None
        assert reply.usage.completion_tokens == 4  # "alph" "a be" "ta g" "amma"
        chunks = stream(client, "[[echo:alpha beta gamma delta]]", stop=["gamma", "delta"])
        assert text_of(chunks) == "alpha beta "

    def test_several_choices_are_several_answers_and_all_billed(
        self, client: openai.OpenAI
    ) -> None:
        reply = ask(client, "hello [[tokens:4]]", n=3)

        assert [choice.index for choice in reply.choices] == [0, 1, 2]
        assert len({choice.message.content for choice in reply.choices}) == 3
        assert reply.usage is not None
        assert reply.usage.completion_tokens == 12

    def test_logprobs_are_told_per_token_when_asked_for(self, client: openai.OpenAI) -> None:
        reply = ask(client, "hello [[tokens:3]]", logprobs=True, top_logprobs=2)

        logprobs = reply.choices[0].logprobs
        assert logprobs is not None
        assert logprobs.content is not None
        assert len(logprobs.content) == 3
        assert len(logprobs.content[0].top_logprobs) == 2
        chunks = stream(client, "hello [[tokens:3]]", logprobs=True)
        assert sum(bool(chunk.choices[0].logprobs) for chunk in chunks) == 3

    def test_a_tool_is_called_with_arguments_that_match_its_schema(
        self, client: openai.OpenAI
    ) -> None:
        reply = ask(client, "count", tools=[TOOL])

        choice = reply.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        assert choice.message.tool_calls is not None
        call = choice.message.tool_calls[0]
        assert call.type == "function"
        assert call.function.name == "count_coins"
        arguments = json.loads(call.function.arguments)
        assert arguments["coins"]
        assert arguments["currency"] in ("EUR", "USD")

    def test_a_streamed_tool_call_adds_up_to_the_plain_one(self, client: openai.OpenAI) -> None:
        chunks = stream(client, "count", tools=[TOOL])

        calls = [
            call
            for chunk in chunks
            for choice in chunk.choices
            for call in choice.delta.tool_calls or []
        ]
        assert calls[0].id
        assert calls[0].function is not None
        assert calls[0].function.name == "count_coins"
        arguments = "".join(call.function.arguments or "" for call in calls if call.function)
        plain = ask(client, "count", tools=[TOOL]).choices[0].message.tool_calls
        assert plain is not None
        assert plain[0].type == "function"
        assert json.loads(arguments) == json.loads(plain[0].function.arguments)
        assert chunks[-1].choices[0].finish_reason == "tool_calls"

    def test_no_tool_is_called_where_none_is_wanted_or_its_result_is_here(
        self, client: openai.OpenAI
    ) -> None:
        assert ask(client, tools=[TOOL], tool_choice="none").choices[0].finish_reason == "stop"
        messages = [
            {"role": "user", "content": "count"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "3"},
        ]
        assert ask(client, messages=messages, tools=[TOOL]).choices[0].finish_reason == "stop"

    def test_old_functions_and_custom_tools_are_called_too(self, client: openai.OpenAI) -> None:
        old = ask(client, functions=[{"name": "f", "parameters": {"type": "object"}}])
        assert old.choices[0].finish_reason == "function_call"
        assert old.choices[0].message.function_call is not None
        assert json.loads(old.choices[0].message.function_call.arguments) == {}
        custom = ask(client, tools=[{"type": "custom", "custom": {"name": "c"}}])
        assert custom.choices[0].message.tool_calls is not None
        assert custom.choices[0].message.tool_calls[0].type == "custom"

    def test_a_json_schema_is_answered_with_json_that_matches(self, client: openai.OpenAI) -> None:
        strict = ConfigDict(strict=True, extra="forbid")
        kind = create_model("Sum", __config__=strict, total=(float, ...), items=(list[str], ...))
        schema = {"name": "sum", "schema": kind.model_json_schema(), "strict": True}

        reply = ask(client, response_format={"type": "json_schema", "json_schema": schema})

        kind.model_validate_json(reply.choices[0].message.content or "")

    def test_json_mode_answers_json_and_wants_the_word(self, client: openai.OpenAI) -> None:
        reply = ask(client, "as JSON, please", response_format={"type": "json_object"})
        assert isinstance(json.loads(reply.choices[0].message.content or ""), dict)
        error = refused(400, ask, client=client, response_format={"type": "json_object"})
        assert error["param"] == "messages"

    @pytest.mark.parametrize(
        ("asked", "served"),
        [
            ("auto", "default"),
            ("default", "default"),
            ("flex", "flex"),
            ("priority", "priority"),
            ("fast", "priority"),
        ],
    )
    def test_the_reply_tells_the_tier_that_served_it(
        self, client: openai.OpenAI, asked: str, served: str
    ) -> None:
        assert ask(client, service_tier=asked).service_tier == served

    def test_a_long_prompt_seen_before_is_cached(self, client: openai.OpenAI) -> None:
        long = "word " * 2000
        first, second = ask(client, long + "one").usage, ask(client, long + "two").usage

        assert first is not None
        assert second is not None
        assert first.prompt_tokens_details is not None
        assert first.prompt_tokens_details.cached_tokens == 0
        assert second.prompt_tokens_details is not None
        assert second.prompt_tokens_details.cached_tokens == 1024


class TestReasoning:
    def test_reasoning_is_counted_inside_the_output(self, client: openai.OpenAI) -> None:
        reply = ask(client, "hello [[tokens:9]]", model="o3-mini", reasoning_effort="low")

        assert reply.usage is not None
        assert reply.usage.completion_tokens == 64 + 9
        assert reply.usage.completion_tokens_details is not None
        assert reply.usage.completion_tokens_details.reasoning_tokens == 64

    def test_a_low_cap_gives_an_empty_billed_answer(self, client: openai.OpenAI) -> None:
        for more in (dict[str, Any](), {"tools": [TOOL]}):
            reply = ask(client, model="o3-mini", max_completion_tokens=50, **more)
            assert reply.choices[0].finish_reason == "length"
            assert not reply.choices[0].message.content
            assert reply.usage is not None
            assert reply.usage.completion_tokens == 50

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("max_tokens", 5, "unsupported_parameter"),
            ("stop", "x", "unsupported_parameter"),
            ("logprobs", True, "unsupported_parameter"),
            ("temperature", 0.2, "unsupported_value"),
        ],
    )
    def test_what_reasoning_models_do_not_take_is_refused_by_name(
        self, client: openai.OpenAI, name: str, value: object, code: str
    ) -> None:
        error = refused(400, ask, client=client, model="o3-mini", **{name: value})
        assert (error["param"], error["code"]) == (name, code)


class TestStream:
    def test_a_stream_says_what_the_plain_reply_says(self, client: openai.OpenAI) -> None:
        chunks = stream(client, "hello")

        assert text_of(chunks) == ask(client, "hello").choices[0].message.content
        assert chunks[0].choices[0].delta.role == "assistant"
        assert chunks[-1].choices[0].finish_reason == "stop"

    def test_usage_is_absent_unless_asked_for(self, client: openai.OpenAI) -> None:
        assert all("usage" not in chunk.model_fields_set for chunk in stream(client))

    def test_usage_is_null_until_a_last_chunk_without_choices(self, client: openai.OpenAI) -> None:
        chunks = stream(client, "hello", stream_options={"include_usage": True})

        assert all(
            "usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks[:-1]
        )
        assert chunks[-1].choices == []
        assert chunks[-1].usage == ask(client, "hello").usage

    def test_deltas_are_padded_unless_that_is_declined(self, client: openai.OpenAI) -> None:
        assert all("obfuscation" in chunk.model_fields_set for chunk in stream(client))
        bare = stream(client, stream_options={"include_obfuscation": False})
        assert all("obfuscation" not in chunk.model_fields_set for chunk in bare)

    def test_several_choices_come_interleaved(self, client: openai.OpenAI) -> None:
        chunks = stream(client, "hello [[tokens:4]]", n=2)

        reply = ask(client, "hello [[tokens:4]]", n=2)
        for choice in reply.choices:
            assert text_of(chunks, choice.index) == choice.message.content
        assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == ["stop", "stop"]

    def test_the_async_client_reads_it_too(self, mock: Mock) -> None:
        async def read() -> str:
            async with openai.AsyncOpenAI(base_url=mock.url, api_key="sk-any") as client:
                messages: Any = [{"role": "user", "content": "hello"}]
                parts = await client.chat.completions.create(
                    model="gpt-4o-mini", messages=messages, stream=True
                )
                text = "".join([chunk.choices[0].delta.content or "" async for chunk in parts])
                whole = await client.chat.completions.create(model="gpt-4o-mini", messages=messages)
                assert whole.choices[0].message.content == text
                return text

        assert asyncio.run(read())


class TestEmbeddings:
    def test_vectors_have_length_one_and_depend_on_the_input_alone(
        self, client: openai.OpenAI
    ) -> None:
        def embed(**given: Any) -> CreateEmbeddingResponse:
            given = {"model": "text-embedding-3-small", "encoding_format": "float"} | given
            raw = client.embeddings.with_raw_response.create(**given)
            reply: CreateEmbeddingResponse = assert_exact(CreateEmbeddingResponse, raw.content)
            return reply

        reply = embed(input=["one", "two"])
        assert [len(item.embedding) for item in reply.data] == [1536, 1536]
        assert sum(x * x for x in reply.data[0].embedding) == pytest.approx(1, abs=1e-5)
        assert embed(input="two").data[0].embedding == reply.data[1].embedding
        assert reply.usage.prompt_tokens == 2
        assert len(embed(input="x", dimensions=256).data[0].embedding) == 256
        assert embed(input=[[1, 2, 3], [4]]).usage.prompt_tokens == 4
        assert len(embed(input=[1, 2, 3]).data) == 1
        assert len(embed(input="x", model="text-embedding-3-large").data[0].embedding) == 3072

    def test_base64_holds_the_same_numbers(self, client: openai.OpenAI) -> None:
        as_base64 = client.embeddings.create(model="text-embedding-3-small", input="x")
        as_floats = client.embeddings.create(
            model="text-embedding-3-small", input="x", encoding_format="float"
        )
        assert as_base64.data[0].embedding == pytest.approx(as_floats.data[0].embedding)

    @pytest.mark.parametrize("bad", ["", [], [""], [["x"]], [1, "x"], ["x"] * 2049, "x" * 80_000])
    def test_an_impossible_input_is_refused(self, client: openai.OpenAI, bad: Any) -> None:
        refused(400, client.embeddings.create, model="text-embedding-3-small", input=bad)


class TestModerations:
    def test_all_categories_are_judged(self, client: openai.OpenAI) -> None:
        for given, count in (("hello", 1), (["a", "b"], 2), ([{"type": "text", "text": "a"}], 1)):
            raw = client.moderations.with_raw_response.create(input=given)  # type: ignore[arg-type]  # a union
            reply = assert_exact(ModerationCreateResponse, raw.content)
            assert len(reply.results) == count
            assert not reply.results[0].flagged
            assert len(reply.results[0].categories.model_dump()) == 13

    def test_a_marker_flags_a_category(self, client: openai.OpenAI) -> None:
        result = client.moderations.create(input="[[flag:self-harm/intent]]").results[0]
        assert result.flagged
        assert result.categories.self_harm_intent
        assert not result.categories.violence


class TestModels:
    def test_models_are_listed_and_found_by_name(self, client: openai.OpenAI) -> None:
        raw = client.models.with_raw_response.list()
        listed = json.loads(raw.content)
        assert set(listed) == {"object", "data"}
        for row in listed["data"]:
            assert_exact(Model, json.dumps(row))
        assert {"gpt-4o-mini", "text-embedding-3-small"} <= {row["id"] for row in listed["data"]}
        assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
        assert refused(404, client.models.retrieve, model="gpt-99")["code"] == "model_not_found"


class TestRefusals:
    def test_an_unknown_model_is_not_found(self, client: openai.OpenAI) -> None:
        assert refused(404, ask, client=client, model="gpt-99")["code"] == "model_not_found"

    @pytest.mark.parametrize(
        ("given", "param", "code"),
        [
            ({"extra_body": {"foo": 1}}, "foo", "unknown_parameter"),
            ({"temperature": "hot"}, "temperature", "invalid_type"),
            ({"n": True}, "n", "invalid_type"),
            ({"n": 0}, "n", "integer_below_min_value"),
            ({"temperature": 3}, "temperature", "integer_above_max_value"),
            ({"messages": []}, "messages", "empty_array"),
            ({"messages": ["x"]}, "messages[0]", "invalid_type"),
            ({"max_tokens": 20_000}, "max_tokens", "invalid_value"),
            ({"max_tokens": 5, "max_completion_tokens": 5}, None, "invalid_parameter_combination"),
            ({"stream_options": {"include_usage": True}}, "stream_options", None),
            ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_value"),
            ({"service_tier": "turbo"}, "service_tier", "invalid_value"),
            (
                {"model": "gpt-4", "messages": [{"role": "user", "content": "x" * 80_000}]},
                "messages",
                "context_length_exceeded",
            ),
        ],
    )
    def test_a_bad_parameter_is_refused_by_name(
        self, client: openai.OpenAI, given: dict[str, Any], param: str | None, code: str | None
    ) -> None:
        error = refused(400, ask, client=client, **given)
        assert (error["param"], error["code"]) == (param, code)
        assert error["type"] == "invalid_request_error"

    def test_a_wrong_key_is_refused_with_its_beginning_and_end(
        self, start_mock: Callable[..., Mock]
    ) -> None:
        mock = start_mock(credential="sk-the-right-one")
        key = "sk-wrong-0123456789abcdef"
        with openai.OpenAI(base_url=mock.url, api_key=key, max_retries=0) as client:
            error = refused(401, ask, client=client)

        assert error["code"] == "invalid_api_key"
        assert "sk-wrong" in error["message"]
        assert "cdef" in error["message"]
        assert key not in error["message"]
        with openai.OpenAI(base_url=mock.url, api_key="sk-the-right-one") as client:
            ask(client)


def test_a_reply_carries_the_headers_of_the_real_one(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=messages)

    headers = raw.headers
    assert headers["x-request-id"].startswith("req_")
    assert headers["openai-version"] == "2020-10-01"
    assert headers["openai-organization"].startswith("org-")
    assert headers["openai-project"].startswith("proj_")
    assert int(headers["openai-processing-ms"]) >= 0
    for name in ("limit-requests", "limit-tokens", "remaining-requests", "remaining-tokens"):
        assert int(headers[f"x-ratelimit-{name}"]) > 0
    assert headers["x-ratelimit-reset-tokens"] == "6ms"
    assert headers["set-cookie"].startswith("__cf_bm=")
