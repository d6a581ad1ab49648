"""Only texts that the byte bound counts whole may be taken from it (M5)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuckshop.protocols.openai.facts import understand
from tuckshop.protocols.openai.long_texts import long_texts
from tuckshop.protocols.openai.table import route

CHAT = route("POST", "/v1/chat/completions")
EMBEDDINGS = route("POST", "/v1/embeddings")
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


def _emptied(node: Any) -> Any:
    """*node* without any of its strings under names that hold texts."""
    if isinstance(node, list):
        return [_emptied(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    return {
        name: ""
        if isinstance(value, str)
        and name in ("content", "text", "refusal", "arguments", "description")
        else _emptied(value)
        for name, value in node.items()
        if name != "$ref"
    }
