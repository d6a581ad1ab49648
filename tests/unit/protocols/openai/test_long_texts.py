"""Only texts that the byte bound counts whole may be taken from it (M5)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuckshop.protocols.openai.facts import understand
from tuckshop.protocols.openai.long_texts import long_texts
from tuckshop.protocols.openai.table import route

CHAT = route("POST", "/v1/chat/completions")
COMPLETIONS = route("POST", "/v1/completions")
EMBEDDINGS = route("POST", "/v1/embeddings")
RESPONSES = route("POST", "/v1/responses")
LONG = "So much to say. " * 10


def texts_of(**body: Any) -> list[tuple[str, int]]:
    return [(text.data.decode(), text.line_marks) for text in long_texts(CHAT, body)]


def test_messages_parts_and_arguments_are_texts() -> None:
    call = {"id": "c" * 99, "type": "function", "function": {"name": "f", "arguments": LONG + "3"}}
    found = texts_of(
        messages=[
            {"role": "system", "content": LONG + "1"},
            {"role": "user", "content": [{"type": "text", "text": LONG + "2"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "i" * 99, "content": LONG + "4\n"},
        ]
    )

    assert found == [(LONG + n, 0) for n in ("1", "2", "3", "4\n")]


def test_short_texts_and_names_stay_at_their_bytes() -> None:
    assert texts_of(messages=[{"role": "u" * 99, "name": "n" * 99, "content": "short"}]) == []


def test_what_may_be_written_as_json_stays_at_its_bytes() -> None:
    assert texts_of(messages=[{"role": "user", "content": "", "odd": {"text": LONG}}]) == []
    assert texts_of(response_format={"json_schema": {"schema": {"description": LONG}}}) == []


def test_descriptions_of_functions_are_texts_with_a_mark_per_line() -> None:
    parameters = {"properties": {"a": {"type": "string", "description": LONG}}, "title": LONG}
    function = {"name": "f" * 99, "description": LONG + "\n" + LONG, "parameters": parameters}

    found = texts_of(messages=[], tools=[{"type": "function", "function": function}])

    assert found == [(LONG + "\n" + LONG, 1), (LONG, 0)]


def test_inputs_of_an_embedding_are_texts() -> None:
    assert [t.data.decode() for t in long_texts(EMBEDDINGS, {"input": LONG})] == [LONG]
    assert [t.data.decode() for t in long_texts(EMBEDDINGS, {"input": ["a", LONG]})] == [LONG]
    assert long_texts(EMBEDDINGS, {"input": [1, 2, 3] * 99}) == []


def test_items_instructions_and_tools_of_a_response_are_texts() -> None:
    tool = {"type": "function", "name": "f" * 99, "description": LONG + "\n9", "parameters": {}}
    body = {
        "instructions": LONG + "1",
        "input": [
            {"role": "user", "content": LONG + "2"},
            {"role": "user", "content": [{"type": "input_text", "text": LONG + "3"}]},
            {"type": "function_call", "call_id": "c" * 99, "name": "f", "arguments": LONG + "4"},
            {"type": "function_call_output", "call_id": "c" * 99, "output": LONG + "5"},
            {"type": "custom_tool_call", "call_id": "d", "name": "f", "input": LONG + "6"},
            {
                "type": "custom_tool_call_output",
                "call_id": "d",
                "output": [{"type": "input_text", "text": LONG + "7"}],
            },
            {
                "type": "reasoning",
                "encrypted_content": LONG,
                "summary": [{"type": "summary_text", "text": LONG + "8"}],
            },
        ],
        "tools": [tool],
    }

    found = [(text.data.decode(), text.line_marks) for text in long_texts(RESPONSES, body)]

    assert sorted(found) == sorted(
        [(LONG + n, 0) for n in "12345678"] + [(LONG + "\n9", 1)],
    )
    assert [t.data.decode() for t in long_texts(RESPONSES, {"input": LONG})] == [LONG]


def test_an_image_and_an_output_outside_of_items_are_no_texts() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 999}

    assert long_texts(RESPONSES, {"input": [{"role": "user", "content": [image]}]}) == []
    assert texts_of(messages=[{"role": "user", "content": "", "output": [{"text": LONG}]}]) == []


def test_prompts_and_the_suffix_of_a_completion_are_texts() -> None:
    found = long_texts(COMPLETIONS, {"prompt": [LONG + "1", "a", LONG + "2"], "suffix": LONG})

    assert [text.data.decode() for text in found] == [LONG + "1", LONG + "2", LONG]
    assert long_texts(COMPLETIONS, {"prompt": [[1, 2, 3] * 99]}) == []


def _as_tool(schema: Any) -> dict[str, Any]:
    return {"type": "function", "name": "f", "description": LONG, "parameters": schema}


words = st.text(max_size=100) | st.just(LONG)
parts = st.fixed_dictionaries({"type": st.just("text"), "text": words})
calls = st.fixed_dictionaries(
    {
        "id": words,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": words, "arguments": words}),
    }
)
messages = st.fixed_dictionaries(
    {"role": words, "content": st.none() | words | st.lists(parts, max_size=3)},
    optional={
        "name": words,
        "refusal": words,
        "tool_calls": st.lists(calls, max_size=2),
        "odd": st.dictionaries(words, words, max_size=2),
        "text": words,
    },
)
schemas = st.recursive(
    st.fixed_dictionaries({"type": words}, optional={"description": words, "$ref": st.just("#/x")}),
    lambda inner: st.fixed_dictionaries(
        {"properties": st.dictionaries(words, inner, max_size=3)}, optional={"description": words}
    ),
    max_leaves=5,
)
tools = st.fixed_dictionaries(
    {
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {"name": words}, optional={"description": words, "parameters": schemas}
        ),
    }
)


@given(said=st.lists(messages, max_size=3), offered=st.lists(tools, max_size=2))
def test_every_long_text_is_part_of_the_byte_bound(said: list[Any], offered: list[Any]) -> None:
    """M5: what is taken from the bound was in it, so the rest of it stays whole."""
    body = {"model": "gpt-4o", "messages": said, "tools": offered}
    without = {"model": "gpt-4o", "messages": _emptied(said), "tools": _emptied(offered)}

    rest = understand(CHAT, without, pass_unknown=False).text_bytes
    taken = sum(len(text.data) for text in long_texts(CHAT, body))

    assert understand(CHAT, body, pass_unknown=False).text_bytes - taken >= rest


item_parts = st.fixed_dictionaries({"type": st.just("input_text"), "text": words})
contents = words | st.lists(item_parts, max_size=3)
items = st.one_of(
    st.fixed_dictionaries(
        {"role": words, "content": contents},
        optional={"id": words, "odd": st.dictionaries(words, words, max_size=2)},
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("function_call"),
            "call_id": words,
            "name": words,
            "arguments": words,
        }
    ),
    st.fixed_dictionaries(
        {"type": st.just("function_call_output"), "call_id": words, "output": contents}
    ),
    st.fixed_dictionaries(
        {"type": st.just("additional_tools"), "tools": st.lists(schemas.map(_as_tool), max_size=1)}
    ),
)


@given(
    said=st.lists(items, max_size=3),
    offered=st.lists(schemas.map(_as_tool), max_size=2),
    instructions=st.none() | words,
)
def test_every_long_text_of_a_response_is_part_of_the_byte_bound(
    said: list[Any], offered: list[Any], instructions: str | None
) -> None:
    """M5: as above."""
    body = {"model": "gpt-4o", "input": said, "tools": offered, "instructions": instructions}
    without = {
        "model": "gpt-4o",
        "input": _emptied(said),
        "tools": _emptied(offered),
        "instructions": None if instructions is None else "",
    }

    rest = understand(RESPONSES, without, pass_unknown=False).text_bytes
    taken = sum(len(text.data) for text in long_texts(RESPONSES, body))

    assert understand(RESPONSES, body, pass_unknown=False).text_bytes - taken >= rest


@given(prompts=words | st.lists(words, min_size=1, max_size=3), suffix=st.none() | words)
def test_every_long_text_of_a_completion_is_part_of_the_byte_bound(
    prompts: str | list[str], suffix: str | None
) -> None:
    """M5: as above."""
    body = {"model": "babbage-002", "prompt": prompts, "suffix": suffix}

    taken = sum(len(text.data) for text in long_texts(COMPLETIONS, body))

    assert taken <= understand(COMPLETIONS, body, pass_unknown=False).text_bytes


def _emptied(node: Any) -> Any:
    """*node* without any of its strings under names that hold texts."""
    if isinstance(node, list):
        return [_emptied(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    return {
        name: ""
        if isinstance(value, str)
        and name in ("content", "text", "refusal", "arguments", "description", "output")
        else _emptied(value)
        for name, value in node.items()
        if name != "$ref"
    }
