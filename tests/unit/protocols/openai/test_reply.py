"""Whole replies say their usage themselves, or at the end of what was kept of them (M5, M9)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tuckshop.domain.usage import Usage
from tuckshop.protocols.endpoints import Events
from tuckshop.protocols.openai.reply import (
    has_output,
    usage_of,
    usage_of_tail,
    without_account,
)

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def reply(**fields: Any) -> bytes:
    choices = [{"message": {"content": 'He said "usage":{"prompt_tokens":1}'}}]
    return json.dumps({"id": "x", "model": "m", "choices": choices, **fields}).encode()


def test_a_whole_reply_tells_usage_model_and_tier() -> None:
    facts = usage_of(reply(usage=USAGE, service_tier="default"))

    assert facts is not None
    assert facts.usage == Usage(input_tokens=10, output_tokens=5)
    assert (facts.model, facts.service_tier) == ("m", "default")


def test_embeddings_have_no_output() -> None:
    facts = usage_of(b'{"object":"list","usage":{"prompt_tokens":7,"total_tokens":7}}')

    assert facts is not None
    assert facts.usage == Usage(input_tokens=7)


def test_cache_writes_with_a_long_life_are_told_apart() -> None:
    details = {"cache_write_tokens": 6, "cache_write_tokens_details": {"ttl_12h_tokens": 2}}

    facts = usage_of(reply(usage={**USAGE, "prompt_tokens_details": details}))

    assert facts is not None
    assert facts.usage is not None
    assert (facts.usage.cache_write_tokens, facts.usage.cache_write_12h_tokens) == (6, 2)


@pytest.mark.parametrize("usage", [None, [], "many", {"prompt_tokens": 1.5}, {"total_tokens": 3}])
def test_usage_that_nobody_can_read_is_none(usage: Any) -> None:
    facts = usage_of(reply(usage=usage))

    assert facts is not None
    assert facts.usage is None


def test_zero_is_a_value() -> None:
    facts = usage_of(reply(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}))

    assert facts is not None
    assert facts.usage == Usage(input_tokens=0)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b"\xff", b'{"usage":', b'{"usage":{"a":' * 50_000]
)
def test_what_is_no_json_object_has_no_facts(body: bytes) -> None:
    assert usage_of(body) is None


@pytest.mark.parametrize("kept", [120, 200, 10_000])
def test_the_tail_of_a_long_reply_tells_the_same_usage(kept: int) -> None:
    body = reply(usage=USAGE, service_tier="default")

    facts = usage_of_tail(body[-kept:])

    assert facts is not None
    assert facts.usage == Usage(input_tokens=10, output_tokens=5)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b'"usage":{' * 7000,
        b'5,"total_tokens":15}}',
        b'{"usage":{"prompt_tokens":1,"completion_tokens":1}}]}',  # not at the top level
        b'x","usage":{"prompt_tokens":1,"completion_tokens":1},"cho',
        reply(note='"usage":{"prompt_tokens":1,"completion_tokens":1}}'),
    ],
)
def test_a_tail_without_usage_at_the_top_level_tells_nothing(tail: bytes) -> None:
    facts = usage_of_tail(tail)

    assert facts is None or facts.usage is None


def test_the_model_of_a_long_reply_stands_at_its_beginning_or_before_its_usage() -> None:
    chat = reply(usage=USAGE)
    vectors = json.dumps(
        {"object": "list", "data": [{"text": '{"model":"a"}'}] * 99, "model": "e", "usage": USAGE}
    ).encode()

    for body, model in ((chat, "m"), (vectors, "e")):
        facts = usage_of_tail(body[-200:], beginning=body[:100])
        assert facts is not None
        assert facts.model == model


def test_a_model_that_the_answer_talks_of_is_not_the_one_that_answered() -> None:
    body = json.dumps({"choices": [{"x": {"model": "other"}}], "usage": USAGE}).encode()

    facts = usage_of_tail(body[-90:], beginning=body)

    assert facts is not None
    assert facts.model is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b'{"content": "x"}', True), (b'{"content":""}', False), (b'{"content":null}', False)],
)
def test_output_is_told_from_none(body: bytes, expected: bool) -> None:
    assert has_output(body, "chunks") is expected


@pytest.mark.parametrize("events", ["chunks", "typed"])
def test_the_text_of_a_completion_or_a_response_is_output(events: Events) -> None:
    assert has_output(b'{"choices":[{"text":"x"}]}', events)
    assert not has_output(b'{"choices":[{"text":""}]}', events)


def test_the_error_of_a_response_that_failed_does_not_name_the_account() -> None:
    """Section 10; a reply without an error, or with a word of it in its text, stays as it is."""
    failed = b'{"output": [{"text": "org-abcdef123"}], "error": {"message": "of org-abcdef123"}}'
    for kept in (
        b'{"error": null, "x": "org-abcdef123"}',
        b'{"x": {"error": {"a": "org-abcdef123"}}}',
    ):
        assert without_account(kept) == kept

    clean = without_account(failed)

    assert clean == failed.replace(b"of org-abcdef123", b"of [removed]").replace(
        b'{"message": ', b'{"message":'
    )


def test_a_response_states_its_usage_in_names_of_its_own() -> None:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {
            "cached_tokens": 4,
            "cache_write_tokens": 3,
            "cache_write_tokens_details": {"ttl_12h_tokens": 1},
        },
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 15,
    }
    body = {"model": "m", "output": [{"model": "x"}], "usage": usage, "metadata": {"usage": "{"}}
    text = json.dumps(body).encode()

    whole = usage_of(text)
    tail = usage_of_tail(text[-400:], beginning=text[:40])

    assert whole is not None
    assert tail is not None
    expected = Usage(
        10, cached_tokens=4, cache_write_tokens=3, output_tokens=5, cache_write_12h_tokens=1
    )
    assert whole.usage == tail.usage == expected
    assert whole.model == tail.model == "m"
