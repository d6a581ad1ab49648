"""What a body of the Responses API asks for: all of its text counts, and what is kept elsewhere is refused by path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.protocols.pictures import data_url, png
from tuckshop.domain.errors import InvalidRequestBodyError, ParameterNotAllowedError
from tuckshop.protocols.openai.body import BodyFacts
from tuckshop.protocols.openai.facts import understand
from tuckshop.protocols.openai.table import route

RESPONSES = route("POST", "/v1/responses")
COUNT = route("POST", "/v1/responses/input_tokens")
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}


def part(**fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": [fields]}


def respond(**fields: Any) -> BodyFacts:
    body = {"model": "gpt-4o-mini", "input": "Hi", **fields}
    return understand(RESPONSES, body, pass_unknown=False)


def refused(**fields: Any) -> str | None:
    with pytest.raises(ParameterNotAllowedError) as caught:
        respond(**fields)
    return caught.value.param


def test_a_tool_that_the_client_runs_is_not_said_to_cost_a_fee() -> None:
    with pytest.raises(ParameterNotAllowedError, match="not served yet"):
        respond(tools=[{"type": "local_shell"}])
    with pytest.raises(ParameterNotAllowedError, match="for a fee"):
        respond(tools=[{"type": "web_search"}])


def wrong(**fields: Any) -> str | None:
    with pytest.raises(InvalidRequestBodyError) as caught:
        respond(**fields)
    return caught.value.param


def test_a_plain_call_has_plain_facts() -> None:
    assert respond() == BodyFacts(model="gpt-4o-mini", text_bytes=2, messages=1)


def test_every_text_counts_wherever_it_stands() -> None:
    items = [
        {"role": "user", "content": "aaaa"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "bbbb"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "cccc"}]},
        {"type": "function_call", "call_id": "c", "name": "dddd", "arguments": "eeee"},
        {"type": "function_call_output", "call_id": "c", "output": "ffff"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "gggg"}]},
        {"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "hhhh"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "iiii"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "jjjj"}], "encrypted_content": "kkkk"},
        {"type": "additional_tools", "role": "developer", "tools": [{**TOOL, "description": "llll"}]},
    ]  # fmt: skip

    facts = respond(
        input=items,
        instructions="mmmm",
        tools=[{**TOOL, "description": "nnnn"}],
        text={
            "format": {"type": "json_schema", "name": "s", "schema": {"properties": {"oooo": {}}}}
        },
    )

    assert facts.messages == len(items) + 1
    assert facts.tools == 2
    assert facts.schema_properties == 1
    empty = respond(
        input=json.loads(_without(json.dumps(items), "abcdefghijkl")),
        instructions="",
        tools=[{**TOOL, "description": ""}],
        text={"format": {"type": "json_schema", "name": "s", "schema": {"properties": {"": {}}}}},
    )
    # The sealed reasoning may not be empty, so one letter of it is left.
    assert facts.text_bytes - empty.text_bytes == 4 * 15 - 1


def _without(text: str, letters: str) -> str:
    for letter in letters:
        text = text.replace(letter * 4, "x" if letter == "k" else "")
    return text


@given(text=st.text(max_size=200))
def test_the_bytes_of_the_input_are_never_more_than_what_counts(text: str) -> None:
    text = text.encode(errors="replace").decode()

    for given_ in (text, [{"role": "user", "content": [{"type": "input_text", "text": text}]}]):
        assert respond(input=given_).text_bytes >= len(text.encode())


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"store": True}, "store"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"multi_agent": {"enabled": True}}, "multi_agent"),
        ({"access_programs": {}}, "access_programs"),
        ({"background_options": {}}, "background_options"),
        ({"context_management": []}, "context_management"),
        ({"image": {}}, "image"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"effort": "low", "depth": 9}}, "reasoning.depth"),
        ({"prompt_cache_options": {"ttl": "12h"}}, "prompt_cache_options.ttl"),
        ({"prompt_cache_options": {"comparison_response_id": "r"}}, "prompt_cache_options.comparison_response_id"),
        ({"stream": True, "stream_options": {"include_usage": True}}, "stream_options.include_usage"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"model": "gpt-4o-search-preview"}, "model"),
        ({"tool_choice": {"type": "web_search_preview"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [TOOL, {"type": "mcp"}]}}, "tool_choice.tools[1].type"),
        ({"tools": [TOOL, {"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools[1].container"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools[0].vector_store_ids"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"id": "msg_1"}]}, "input[0].id"),
        ({"input": [{"type": None, "id": "msg_1"}]}, "input[0].id"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "input[0].encrypted_content"),
        ({"input": [{"type": "message", "id": "msg_1"}]}, "input[0].id"),
        ({"input": [{"role": "assistant", "id": "msg_1", "content": None}]}, "input[0].id"),
        ({"input": [{"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f"}]}, "input[0].id"),
        ({"input": [{"type": "function_call_output", "id": "fc_1", "call_id": "c"}]}, "input[0].id"),
        ({"input": [{"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "f"}]}, "input[0].id"),
        ({"metadata": None, "input": [{"role": "user", "content": "x", "metadata": {"file_id": "f"}}]},
         "input[0].metadata.file_id"),
        ({"tools": [{**TOOL, "filters": {"schema": {"container": "c"}}}]}, "tools[0].filters.schema.container"),
        ({"input": [{"type": "tool_search_output", "tools": [TOOL, {"type": "shell"}]}]}, "input[0].tools[1].type"),
        ({"input": [{"type": "additional_tools", "tools": [{"type": "web_search"}]}]}, "input[0].tools[0].type"),
        ({"input": [{"role": "user", "content": "x", "tools": [{"type": "mcp"}]}]}, "input[0].tools[0].type"),
    ],
)  # fmt: skip
def test_what_is_kept_at_the_provider_or_costs_more_is_refused_by_path(
    fields: dict[str, Any], path: str
) -> None:
    assert refused(**fields) == path


@pytest.mark.parametrize(
    "item",
    [{"type": "item_reference", "id": "msg_1"}, {"type": "reasoning", "id": "rs_1", "summary": []}],
)
def test_an_item_named_by_its_id_is_told_how_to_be_sent_whole(item: dict[str, Any]) -> None:
    """Libraries do so by themselves until they are told that nothing is stored."""
    with pytest.raises(ParameterNotAllowedError, match="store: false"):
        respond(input=[item])


HOSTED = ("web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp",
          "computer", "computer_use_preview", "local_shell", "shell", "apply_patch", "tool_search", "namespace",
          "programmatic_tool_calling", "unheard_of")  # fmt: skip


@pytest.mark.parametrize("kind", HOSTED)
def test_every_tool_but_ones_own_is_refused(kind: str) -> None:
    assert refused(tools=[TOOL, {"type": kind}]) == "tools[1].type"


@pytest.mark.parametrize(
    "kind",
    [
        "web_search_call", "file_search_call", "computer_call", "computer_call_output", "image_generation_call",
        "code_interpreter_call", "local_shell_call", "shell_call", "apply_patch_call", "mcp_call", "mcp_list_tools",
        "compaction", "compaction_trigger", "program", "tool_search_call", "unheard_of",
    ],
)  # fmt: skip
def test_items_of_tools_that_the_provider_runs_are_refused(kind: str) -> None:
    assert refused(input=[{"type": kind, "role": "user"}]) == "input[0].type"


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"type": "input_image", "file_id": "file-1"}, "file_id"),
        ({"type": "input_image", "image_url": "https://x", "file_id": "file-1"}, "file_id"),
        ({"type": "input_file", "file_id": "file-1"}, "file_id"),
        ({"type": "input_file", "file_url": "https://x"}, "file_url"),
        ({"type": "input_file", "file_data": "data:,"}, "file_data"),
        ({"type": "input_file"}, "type"),
        ({"type": "input_audio", "input_audio": {}}, "input_audio"),
        ({"type": "input_text", "text": "x", "image_url": "https://x"}, "image_url"),
        ({"type": "output_text", "text": "x", "annotations": [{"file_id": "file-1"}]}, "annotations[0].file_id"),
        ({"type": "output_text", "text": "x", "annotations": [{"container_id": "c"}]}, "annotations[0].container_id"),
        ({"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"ttl": "12h"}}, "prompt_cache_breakpoint.ttl"),
        ({"type": "input_image", "image_url": "https://x", "detail": "max"}, "detail"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["content", "output"])
def test_parts_that_are_kept_elsewhere_or_not_text_are_refused_by_path(
    part: dict[str, Any], path: str, place: str
) -> None:
    kinds = {"content": "message", "output": "function_call_output"}
    item = {"type": kinds[place], "role": "user", "call_id": "c", place: [part]}

    assert refused(input=[item]) == f"input[0].{place}[0].{path}"


def test_names_of_ones_own_are_free_in_schemas_and_metadata() -> None:
    own = {"type": "object", "properties": {"file_id": {}, "container": {}}}

    facts = respond(
        tools=[{**TOOL, "parameters": own}],
        text={"format": {"type": "json_schema", "name": "s", "schema": own}},
        metadata={"container": "x", "file_id": "y"},
    )

    assert facts.schema_properties == 4


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"max_output_tokens": "20"}, "max_output_tokens"),
        ({"input": 7}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"type": 7}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": {}}]}, "input[0].content"),
        ({"input": [part(type="input_text")]}, "input[0].content[0].text"),
        ({"input": [part(type="input_image")]}, "input[0].content[0].image_url"),
        ({"input": [part(type="input_image", image_url="ftp://x")]}, "input[0].content[0].image_url"),
        ({"instructions": []}, "instructions"),
        ({"store": "no"}, "store"),
        ({"tools": {}}, "tools"),
        ({"reasoning": "hard"}, "reasoning"),
        ({"text": "json"}, "text"),
        ({"stream_options": {}}, "stream_options"),
    ],
)  # fmt: skip
def test_a_wrong_type_where_money_depends_on_it_is_refused(
    fields: dict[str, Any], path: str
) -> None:
    assert wrong(**fields) == path


def test_null_is_the_same_as_leaving_it_out() -> None:
    names = RESPONSES.parameters - {"model", "input"}

    assert respond(**dict.fromkeys(names)) == respond()


def test_the_cap_is_read_from_its_own_field() -> None:
    facts = respond(max_output_tokens=16)

    assert (facts.cap_wanted, facts.cap_fields) == (16, ("max_output_tokens",))


def test_images_are_put_aside_with_their_pixels() -> None:
    url = data_url(png(640, 480))
    parts = [
        {"type": "input_image", "image_url": url, "detail": "high"},
        {"type": "input_image", "image_url": "https://example.org/x.png", "detail": None},
    ]

    facts = respond(input=[{"role": "user", "content": parts}])

    assert [(image.pixels, image.detail) for image in facts.images] == [
        ((640, 480), "high"),
        (None, None),
    ]
    assert facts.images[0].path == "input[0].content[0].image_url"
    assert facts.images[0].detail_path == "input[0].content[0].detail"
    assert facts.text_bytes < 60  # not the picture's letters


def test_counting_tokens_refuses_the_same() -> None:
    with pytest.raises(ParameterNotAllowedError):
        understand(COUNT, {"model": "m", "previous_response_id": "r"}, pass_unknown=False)
    assert understand(COUNT, {"model": "m", "input": "Hi"}, pass_unknown=False).text_bytes == 2
