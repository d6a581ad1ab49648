"""Everything that a body says is found, wherever it stands (section 12)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.protocols.openai.api_words import API_WORDS
from tuckshop.protocols.openai.contents import (
    Contents,
    Leaf,
    Picture,
    Tokens,
    contents_of,
    pieces_of,
    with_decoded,
)
from tuckshop.protocols.openai.table import ENDPOINTS, route

CHAT = route("POST", "/v1/chat/completions")
RESPONSES = route("POST", "/v1/responses")
EMBEDDINGS = route("POST", "/v1/embeddings")
COMPLETIONS = route("POST", "/v1/completions")


def read(endpoint: Any = CHAT, profile: Any = "openai", **body: Any) -> Contents:
    return contents_of(endpoint, json.dumps({"model": "m", **body}).encode(), profile=profile)


def texts(contents: Contents) -> dict[str, str]:
    return {leaf.text: leaf.path for leaf in contents.leaves}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=30,
)


def said_in(node: Any) -> Iterator[str]:
    """Every string of *node*, names too, found in another way than by the code under test."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            yield from one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


@given(
    endpoint=st.sampled_from([one for one in ENDPOINTS if one.parameters]),
    body=st.dictionaries(st.text() | st.sampled_from(["messages", "tools", "input"]), JSON),
)
def test_every_text_leaf_of_any_body_is_covered(endpoint: Any, body: dict[str, Any]) -> None:
    """A property: no string is left out, but for the words of the API and what this server sets itself."""
    body = {
        name: value
        for name, value in body.items()
        if name not in ("model", "user", "safety_identifier")
    }

    contents = read(endpoint, **body)

    found = texts(contents)
    together = contents.joined.text if contents.joined else next(iter(found), "")
    for said in said_in(body):
        if said and not said.isspace() and said not in API_WORDS:
            assert said in found
            assert said in together


def test_the_words_of_the_api_say_nothing() -> None:
    contents = read(
        messages=[{"role": "user", "content": [{"type": "text", "text": "Hello."}]}],
        stream=True,
        service_tier="default",
        safety_identifier="tuck-x",
    )

    assert contents == Contents(leaves=(Leaf("Hello.", "messages[0].content[0].text", True),))


def test_parts_of_one_content_are_one_text_and_messages_are_lines() -> None:
    contents = read(
        messages=[
            {"role": "system", "content": "Be kind."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."}],
            },
            {"role": "assistant", "content": "Hi."},
        ]
    )

    assert contents.joined == Leaf("Be kind.\nHello.\nHi.", "", False)
    assert list(texts(contents)) == ["Be kind.", "Hel", "lo.", "Hi."]


@pytest.mark.parametrize(
    ("endpoint", "body", "own"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "x y"}]}, True),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "x y"}]}]}, True),
        (CHAT, {"messages": [{"role": "system", "content": "x y"}]}, False),
        (CHAT, {"messages": [{"role": "tool", "content": "x y"}]}, False),
        (CHAT, {"tools": [{"type": "function", "function": {"description": "x y"}}]}, False),
        (RESPONSES, {"input": "x y"}, True),
        (RESPONSES, {"input": [{"role": "user", "content": "x y"}]}, True),
        (
            RESPONSES,
            {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x y"}]}]},
            True,
        ),
        (RESPONSES, {"input": [{"type": "function_call_output", "output": "x y"}]}, False),
        (RESPONSES, {"input": [{"role": "assistant", "content": "x y"}]}, False),
        (RESPONSES, {"instructions": "x y"}, False),
        (EMBEDDINGS, {"input": ["x y"]}, True),
        (COMPLETIONS, {"prompt": "x y"}, True),
        (COMPLETIONS, {"suffix": "x y"}, True),
    ],
)  # fmt: skip
def test_what_holders_say_themselves_is_told_from_documents_and_tools(
    endpoint: Any, body: dict[str, Any], own: bool
) -> None:
    """Strikes count distinct contents from the member's own roles."""
    (leaf,) = read(endpoint, **body).leaves

    assert leaf.text == "x y"
    assert leaf.is_own is own


def test_a_text_that_stands_in_two_places_is_one_and_the_holders_if_they_say_it_anywhere() -> None:
    contents = read(
        messages=[{"role": "assistant", "content": "Same."}, {"role": "user", "content": "Same."}]
    )

    assert contents.leaves == (Leaf("Same.", "messages[1].content", True),)
    assert contents.joined == Leaf("Same.\nSame.", "", False)


def test_pictures_are_told_apart_and_addresses_cannot_be_read() -> None:
    shown = "data:image/png;base64,AAAA"
    chat = read(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": shown, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                ],
            }
        ]
    )
    responses = read(
        RESPONSES,
        input=[{"role": "user", "content": [{"type": "input_image", "image_url": shown}]}],
    )

    assert chat.pictures == (Picture(shown, "messages[0].content[0].image_url.url", True),)
    assert chat.unreadable == ("messages[0].content[1].image_url.url",)
    assert responses.pictures == (Picture(shown, "input[0].content[0].image_url", True),)
    assert chat.leaves == responses.leaves == ()


@pytest.mark.parametrize("kind", ["input_audio", "file", "input_file"])
def test_sound_and_files_cannot_be_read(kind: str) -> None:
    contents = read(
        messages=[{"role": "user", "content": [{"type": kind, kind: {"data": "AAAA"}}]}]
    )

    assert contents.unreadable == ("messages[0].content[0]",)


def test_what_the_provider_sealed_is_its_own_and_a_text_to_any_other_server() -> None:
    item = {"type": "reasoning", "encrypted_content": "gAAAA", "summary": []}

    assert read(RESPONSES, input=[item]).leaves == ()
    assert texts(read(RESPONSES, "compatible", input=[item])) == {
        "gAAAA": "input[0].encrypted_content"
    }


def test_nothing_is_taken_for_sealed_but_an_item_of_a_response() -> None:
    """Section 12: whoever writes a text into a schema as if it were sealed has it checked."""
    item = {"type": "reasoning", "encrypted_content": "how to hurt"}
    tool = {"type": "function", "name": "f", "parameters": {"default": item}}

    for body in (
        read(RESPONSES, input=[{"role": "user", "content": [item]}]),
        read(RESPONSES, input="x", tools=[tool]),
        read(messages=[], tools=[{"type": "function", "function": tool}]),
        read(messages=[], input=[item]),
    ):
        assert "how to hurt" in texts(body)


def test_numbers_of_tokens_are_texts_to_be_decoded() -> None:
    assert read(EMBEDDINGS, input=[1, 2]).tokens == (Tokens((1, 2), "input"),)
    assert read(COMPLETIONS, prompt=[[1], [2, 3]]).tokens == (
        Tokens((1,), "prompt[0]"),
        Tokens((2, 3), "prompt[1]"),
    )
    assert read(logit_bias={"1": 2}).tokens == ()


def test_what_tokens_say_is_said_by_the_holder_and_together_with_the_rest() -> None:
    body = read(COMPLETIONS, suffix="lence", prompt=[[1], [2, 3], [4], [5]])

    contents = with_decoded(body, ["Hello.", None, " ", "vio"])

    assert contents.tokens == ()
    assert contents.unreadable == ("prompt[1]",)
    assert [leaf for leaf in contents.leaves if leaf.is_own] == [
        Leaf("lence", "suffix", is_own=True),
        Leaf("Hello.", "prompt[0]", is_own=True),
        Leaf("vio", "prompt[3]", is_own=True),
    ]
    assert contents.joined == Leaf("Hello.\nvio\nlence", "", is_own=True)
    assert with_decoded(read(EMBEDDINGS, input=[7]), ["Hello."]).joined is None
    assert with_decoded(read(EMBEDDINGS, input=[7]), [None]).leaves == ()


@given(
    text=st.text(min_size=1, max_size=200),
    most=st.integers(2, 50),
    start=st.integers(0, 200),
    data=st.data(),
)
def test_whatever_is_no_longer_than_the_overlap_stands_whole_in_one_piece(
    text: str, most: int, start: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, most - 1))
    word = text[start : start + overlap]

    pieces = list(pieces_of(text, most=most, overlap=overlap))

    assert all(len(piece) <= most for piece in pieces)
    assert any(word in piece for piece in pieces)
    whole = pieces[0] + "".join(piece[overlap:] for piece in pieces[1:])
    assert whole == text
    assert list(pieces_of(text + "x", most=most, overlap=overlap))[: len(pieces) - 1] == pieces[:-1]
