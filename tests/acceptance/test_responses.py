"""Responses, Completions and images, by the official Python client over a running server."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.acceptance.conftest import NewKey, client_of, key_of_new_member
from tests.acceptance.test_openai_client import rows_of
from tests.support.processes import Mock, Server, call, start_server
from tests.unit.protocols.pictures import data_url, png

MODEL = "gpt-4o-mini"
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def cost(model_in: int, model_out: int, tokens_in: int, tokens_out: int) -> float:
    """USD, of whole nano-USD per token."""
    return (tokens_in * model_in + tokens_out * model_out) / 1e9


def test_a_plain_response_is_charged_what_the_upstream_billed_and_kept_nowhere(
    server: Server, new_key: NewKey, mock: Mock
) -> None:
    key = new_key(each=["$1/month"])

    raw = client_of(server, key).responses.with_raw_response.create(model=MODEL, input="Hello")
    reply = raw.parse()

    assert reply.output_text
    assert reply.usage is not None
    expected = cost(150, 600, reply.usage.input_tokens, reply.usage.output_tokens)
    assert float(raw.headers["x-tuckshop-cost-usd"]) == pytest.approx(expected, abs=1e-12)
    (row,) = rows_of(server, key)
    assert (row["status"], row["endpoint"]) == ("settled", "responses")
    assert row["cost_usd"] == pytest.approx(expected, abs=1e-12)
    sent = mock.requests()[-1]["body"]
    assert sent["store"] is False
    assert sent["service_tier"] == "default"


def test_a_streamed_response_comes_typed_and_is_settled_from_its_last_event(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["$1/month"])
    client = client_of(server, key)

    with client.responses.stream(model=MODEL, input="Hello") as stream:
        kinds = [event.type for event in stream]
        reply = stream.get_final_response()

    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert "response.output_text.delta" in kinds
    (row,) = rows_of(server, key)
    assert reply.usage is not None
    assert row["status"] == "settled"
    assert "unconfirmed" not in row["flags"]  # type: ignore[operator]  # a list
    assert row["output_tokens"] == reply.usage.output_tokens
    assert row["cost_usd"] == pytest.approx(
        cost(150, 600, reply.usage.input_tokens, reply.usage.output_tokens), abs=1e-12
    )


def test_a_typed_event_is_passed_on_before_the_next_exists(
    server: Server, new_key: NewKey, mock: Mock
) -> None:
    client = client_of(server, new_key(each=["$1/month"]))
    control = mock.url.removesuffix("/v1") + "/_mock/next?id=typed"

    stream = client.responses.create(
        model=MODEL, input="[[lockstep:typed]] [[tokens:6]]", stream=True
    )
    kinds = []
    for event in stream:
        kinds.append(event.type)
        call("POST", control)

    assert kinds.count("response.output_text.delta") == 6
    assert kinds[-1] == "response.completed"


def test_a_compatible_upstream_gets_only_what_it_knows(tmp_path: Path, mock: Mock) -> None:
    """K10: neither tier nor storage nor an identity field; the cap in the only field there is."""
    own = start_server(tmp_path, mock.url, TUCKSHOP_OPENAI_PROFILE="compatible")
    client = client_of(own, key_of_new_member(own, "local", each=["$1/month"]))

    client.responses.create(model=MODEL, input="Hello", store=False, max_output_tokens=50)

    sent = mock.requests()[-1]["body"]
    assert sent == {"model": MODEL, "input": "Hello", "max_output_tokens": 50}
    assert own.stop() == 0


def test_a_tool_is_called_and_its_result_goes_back_with_the_items_of_before(
    server: Server, new_key: NewKey
) -> None:
    client = client_of(server, new_key(each=["$1/month"]))
    question: Any = {"role": "user", "content": "What is the weather in Berlin?"}

    first = client.responses.create(
        model="gpt-5-mini",
        input=[question],
        tools=[WEATHER],
        include=["reasoning.encrypted_content"],
        max_output_tokens=4000,
    )
    called = next(item for item in first.output if item.type == "function_call")
    given: Any = [question, *(item.model_dump(exclude_none=True) for item in first.output)]
    given.append({"type": "function_call_output", "call_id": called.call_id, "output": "sunny"})
    second = client.responses.create(
        model="gpt-5-mini", input=given, tools=[WEATHER], max_output_tokens=4000
    )

    assert called.name == "weather"
    assert isinstance(json.loads(called.arguments), dict)
    assert second.output_text


def test_a_custom_tool_is_called_with_text_and_streams_it(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(each=["$1/month"]))
    custom: Any = {"type": "custom", "name": "query", "description": "Takes a line of SQL."}

    first = client.responses.create(model=MODEL, input="How many are there?", tools=[custom])
    called: Any = first.output[0]
    given: Any = [
        {"role": "user", "content": "How many are there?"},
        called.model_dump(exclude_none=True),
        {"type": "custom_tool_call_output", "call_id": called.call_id, "output": "7"},
    ]
    second = client.responses.create(model=MODEL, input=given, tools=[custom])
    kinds = {
        event.type
        for event in client.responses.create(
            model=MODEL,
            input="How many are there?",
            tools=[custom],
            tool_choice={"type": "custom", "name": "query"},
            stream=True,
        )
    }

    assert called.type == "custom_tool_call"
    assert called.input
    assert second.output_text
    assert {
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
    } <= kinds


def test_the_asynchronous_client_is_served_alike(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["$1/month"])

    async def run() -> tuple[str, str, str]:
        async with openai.AsyncOpenAI(
            api_key=key, base_url=f"{server.url}/v1", max_retries=0
        ) as client:
            plain = await client.responses.create(model=MODEL, input="Hello")
            stream = await client.responses.create(model=MODEL, input="Hello", stream=True)
            last = [event.type async for event in stream][-1]
            text = await client.completions.create(model="babbage-002", prompt="Once")
            return plain.output_text, last, text.choices[0].text

    said, last, text = asyncio.run(run())

    assert said
    assert text
    assert last == "response.completed"
    rows = rows_of(server, key)
    assert [(row["endpoint"], row["status"], row["flags"]) for row in rows] == [
        ("completions", "settled", []),
        ("responses", "settled", []),
        ("responses", "settled", []),
    ]


class Answer(BaseModel):
    title: str
    points: list[str]


def test_structured_output_is_parsed(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(each=["$1/month"]))

    reply = client.responses.parse(model=MODEL, input="Hello", text_format=Answer)

    assert isinstance(reply.output_parsed, Answer)


def test_a_little_budget_lowers_the_cap_in_its_own_field(
    server: Server, new_key: NewKey, mock: Mock
) -> None:
    key = new_key(each=["$0.0004/month"])

    raw = client_of(server, key).responses.with_raw_response.create(
        model=MODEL, input="Hello", max_output_tokens=5000
    )

    cap = int(raw.headers["x-tuckshop-output-cap"].partition(";")[0])
    assert 16 <= cap < 5000
    assert mock.requests()[-1]["body"]["max_output_tokens"] == cap


def test_what_is_kept_at_the_provider_is_refused_by_path(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(each=["$1/month"]))
    item: Any = {"type": "item_reference", "id": "msg_1"}
    hidden: Any = {"type": "additional_tools", "role": "developer", "tools": [{"type": "mcp"}]}
    image: Any = {"type": "input_image", "file_id": "file-1", "detail": "low"}
    result: Any = {"type": "function_call_output", "call_id": "call_1", "output": [image]}

    for given, path in (
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"input": [item]}, "input[0].type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "local_shell"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "image_generation"}}, "tool_choice.type"),
        ({"input": [hidden]}, "input[0].tools[0].type"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": [{"role": "user", "content": [image]}]}, "input[0].content[0].file_id"),
        ({"input": [result]}, "input[0].output[0].file_id"),
        (
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
            "tools[0].container",
        ),
        (
            {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]},
            "input[0].encrypted_content",
        ),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.create(**({"model": MODEL, "input": "Hello"} | given))
        assert (refused.value.code, refused.value.param) == ("parameter_not_allowed", path)
    for kept in (
        client.responses.retrieve,
        client.responses.delete,
        client.responses.cancel,
        client.responses.input_items.list,
    ):
        with pytest.raises(openai.NotFoundError) as closed:
            kept("resp_1")
        assert "stored" in closed.value.message


def test_a_response_that_its_cap_ends_is_incomplete_and_settled_from_that(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["$1/month"])

    stream = client_of(server, key).responses.create(
        model=MODEL, input="Hello [[tokens:50]]", max_output_tokens=16, stream=True
    )
    last: Any = list(stream)[-1]

    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    (row,) = rows_of(server, key)
    assert (row["output_tokens"], row["flags"]) == (16, [])


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_response_that_failed_is_settled_from_its_usage_and_names_no_account(
    server: Server, new_key: NewKey, is_stream: bool
) -> None:
    """M5, section 10: what it used was billed all the same."""
    key = new_key(each=["$1/month"])
    client = client_of(server, key)
    asked = "Hello [[tokens:5]] [[fault:response-failed]]"

    if is_stream:
        last: Any = list(client.responses.create(model=MODEL, input=asked, stream=True))[-1]
        assert last.type == "response.failed"
        told = last.response
    else:
        told = client.responses.create(model=MODEL, input=asked)

    assert told.status == "failed"
    assert "org-" not in told.error.message
    (row,) = rows_of(server, key)
    assert (row["output_tokens"], row["flags"]) == (5, [])


def row_when_settled(server: Server, key: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while True:
        (row,) = rows_of(server, key)
        if row["status"] != "reserved" or time.monotonic() > deadline:
            return row
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["drain", "cancel"])
@pytest.mark.parametrize("path", ["responses", "completions"])
def test_a_client_that_leaves_in_the_middle_is_charged_as_the_group_says(
    server: Server, new_key: NewKey, path: str, how: str
) -> None:
    """M5, section 5: read on to the usage, or cut the upstream off and charge the bound."""
    key = new_key(each=["$1/month"], on_disconnect=how)
    client = client_of(server, key)
    asked = "[[tokens:60]] [[speed:60]]"

    stream: Any = (
        client.responses.create(model=MODEL, input=asked, max_output_tokens=90, stream=True)
        if path == "responses"
        else client.completions.create(
            model="gpt-3.5-turbo-instruct", prompt=asked, max_tokens=90, stream=True
        )
    )
    events = iter(stream)
    for _ in range(5):
        next(events)
    stream.close()

    row = row_when_settled(server, key)
    assert row["status"] == "settled"
    assert "client_left" in row["flags"]
    assert ("unconfirmed" in row["flags"]) is (how == "cancel")
    assert row["output_tokens"] == (60 if how == "drain" else 90)


@pytest.mark.parametrize("fault", ["no-usage", "usage-huge", "error-event", "stop-mid-stream"])
def test_a_stream_without_usage_is_charged_its_bound(
    server: Server, new_key: NewKey, fault: str
) -> None:
    key = new_key(each=["$1/month"])

    stream = client_of(server, key).responses.create(
        model=MODEL, input=f"Hello [[fault:{fault}]]", max_output_tokens=100, stream=True
    )
    kinds = [event.type for event in stream]

    (row,) = rows_of(server, key)
    assert "unconfirmed" in row["flags"]  # type: ignore[operator]  # a list
    assert row["output_tokens"] == 100
    assert (kinds[-1] == "error") is (fault == "error-event")


def test_a_last_event_that_is_huge_is_settled_exactly(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["$1/month"])

    stream = client_of(server, key).responses.create(
        model=MODEL, input="Hello [[fault:huge-event]] [[tokens:5]]", stream=True
    )
    last = list(stream)[-1]

    assert last.type == "response.completed"
    (row,) = rows_of(server, key)
    assert row["output_tokens"] == 5
    assert "unconfirmed" not in row["flags"]  # type: ignore[operator]  # a list


def test_an_event_longer_than_is_set_passes_unread_and_costs_the_bound(
    tmp_path: Path, mock: Mock
) -> None:
    """Section 9: past it the meter stops, the relay does not."""
    own = start_server(
        tmp_path,
        mock.url,
        TUCKSHOP_EDGE_RESPONSES_EVENT_MAX_BYTES="300",
        TUCKSHOP_EDGE_CHAT_EVENT_MAX_BYTES="300",
    )
    key = key_of_new_member(own, "long", each=["$1/month"])
    client = client_of(own, key)

    typed = client.responses.create(
        model=MODEL, input="Hello [[tokens:5]]", max_output_tokens=100, stream=True
    )
    kinds = [event.type for event in typed]
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Hello [[tokens:5]]"}],
            max_tokens=200,
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    assert kinds[-1] == "response.completed"
    assert chunks[-1].usage is not None
    assert [(row["output_tokens"], row["flags"]) for row in rows_of(own, key)] == [
        (200, ["unconfirmed"]),
        (100, ["unconfirmed"]),
    ]
    assert own.stop() == 0


def test_a_revoked_key_ends_its_stream_with_an_event_of_the_format(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["$1/month"])
    stream = client_of(server, key).responses.create(
        model=MODEL, input="[[tokens:300]] [[speed:50]]", stream=True
    )
    events = iter(stream)
    next(events)
    next(events)
    (row,) = rows_of(server, key)

    server.made("POST", f"/keys/{row['key']}/pause")
    last = list(events)[-1]

    assert last.type == "error"
    assert last.code == "key_paused"
    assert last.sequence_number > 1


def test_tokens_are_counted_for_nothing(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["$0 total"])

    counted = client_of(server, key).responses.input_tokens.count(model=MODEL, input="Hello")

    assert counted.input_tokens > 0
    (row,) = rows_of(server, key)
    assert (row["status"], row["cost_usd"]) == ("settled", 0)


def test_completions_are_charged_for_every_prompt_and_every_try(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["$1/month"])
    client = client_of(server, key)

    reply = client.completions.create(
        model="gpt-3.5-turbo-instruct", prompt=["Once", "Twice"], n=2, best_of=3, echo=True
    )

    assert len(reply.choices) == 4
    assert reply.choices[0].text.startswith("Once")
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 6 * 16
    (row,) = rows_of(server, key)
    assert (row["status"], row["flags"]) == ("settled", [])
    assert row["cost_usd"] == pytest.approx(
        cost(1500, 2000, reply.usage.prompt_tokens, reply.usage.completion_tokens), abs=1e-12
    )


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_prompt_that_is_only_scored_costs_its_input(
    server: Server, new_key: NewKey, is_stream: bool
) -> None:
    """Zero is a value: the text in such an answer is the prompt again."""
    key = new_key(each=["$1/month"])
    asked: Any = {"model": "gpt-3.5-turbo-instruct", "prompt": "Once upon a time", "echo": True}
    client = client_of(server, key)

    reply: Any = client.completions.create(**asked, max_tokens=0, stream=is_stream)
    text = "".join(chunk.choices[0].text for chunk in (reply if is_stream else [reply]))

    assert text == "Once upon a time"
    row: Any = rows_of(server, key)[0]
    assert (row["status"], row["output_tokens"], row["flags"]) == ("settled", 0, [])
    assert row["cost_usd"] == pytest.approx(row["input_tokens"] * 1500 / 1e9, abs=1e-12)


def test_policies_and_limits_name_the_new_endpoints(server: Server, new_key: NewKey) -> None:
    asked: Any = {"model": MODEL, "input": "Hello"}
    only = client_of(server, new_key(each=["$1/month"], endpoints=["responses"]))
    chat = client_of(server, new_key(each=["$1/month"], endpoints=["chat"]))
    some = client_of(server, new_key(each=["1 request/hour on endpoint:responses"]))

    only.responses.create(**asked)
    for ask in (
        lambda: chat.responses.create(**asked),
        lambda: chat.completions.create(model="babbage-002", prompt="Once"),
        lambda: only.completions.create(model="babbage-002", prompt="Once"),
    ):
        with pytest.raises(openai.PermissionDeniedError) as closed:
            ask()
        assert closed.value.code == "endpoint_not_allowed"
    some.responses.create(**asked)
    some.completions.create(model="babbage-002", prompt="Once")
    with pytest.raises(openai.RateLimitError):
        some.responses.create(**asked)


def test_a_streamed_completion_is_settled_exactly_and_shows_no_usage_unasked(
    server: Server, new_key: NewKey
) -> None:
    key = new_key(each=["$1/month"])

    chunks = list(
        client_of(server, key).completions.create(model="babbage-002", prompt="Once", stream=True)
    )

    assert all(chunk.choices for chunk in chunks)
    assert "".join(chunk.choices[0].text for chunk in chunks)
    (row,) = rows_of(server, key)
    assert (row["status"], row["flags"], row["output_tokens"]) == ("settled", [], 16)


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        (data_url(png(1920, 1080)), "high"),
        (data_url(png(1920, 1080)), "low"),
        ("https://example.org/?size=4000x3000", "auto"),
    ],
)
def test_images_are_held_at_no_less_than_is_billed(
    server: Server, new_key: NewKey, mock: Mock, url: str, detail: Any
) -> None:
    key = new_key(each=["$1/month"])
    client = client_of(server, key)

    chat = client.chat.completions.create(
        model=MODEL,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": url, "detail": detail}},
                ],
            }
        ],
        max_tokens=50,
    )
    assert mock.requests()[-1]["body"]["messages"][0]["content"][1]["image_url"]["url"] == url
    response = client.responses.create(
        model=MODEL,
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": url, "detail": detail},
                ],
            }
        ],
        max_output_tokens=50,
    )

    assert chat.usage is not None
    assert response.usage is not None
    assert chat.usage.prompt_tokens > 2_833
    rows = rows_of(server, key)
    assert [row["flags"] for row in rows] == [[], []]
    assert rows[0]["input_tokens"] == response.usage.input_tokens
    assert "overrun" not in server.log.read_text()


def test_an_image_is_moderated_for_nothing(server: Server, new_key: NewKey) -> None:
    key = new_key(each=["$0 total"])
    shown: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}},
    ]

    verdict = client_of(server, key).moderations.create(model="omni-moderation-latest", input=shown)

    assert not verdict.results[0].flagged
    (row,) = rows_of(server, key)
    assert (row["status"], row["cost_usd"]) == ("settled", 0)


def test_a_model_that_takes_no_images_is_refused(server: Server, new_key: NewKey) -> None:
    client = client_of(server, new_key(each=["$1/month"]))
    part: Any = {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}

    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model="gpt-3.5-turbo", messages=[{"role": "user", "content": [part]}]
        )

    assert refused.value.code == "parameter_not_allowed"
    assert refused.value.param == "messages[0].content[0].image_url.url"
