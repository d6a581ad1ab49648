"""What is sent is what was read, with only the contract's fields set (M12, K10)."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from tuckshop.protocols.json_body import parse
from tuckshop.protocols.openai.facts import understand
from tuckshop.protocols.openai.outgoing import CapField, Profile, Rewriting, rewrite
from tuckshop.protocols.openai.table import route

CHAT = "/v1/chat/completions"
PATHS = {
    "chat": CHAT,
    "embeddings": "/v1/embeddings",
    "moderations": "/v1/moderations",
    "responses": "/v1/responses",
    "count": "/v1/responses/input_tokens",
    "completions": "/v1/completions",
}


def sent(
    body: bytes,
    *,
    to: Literal["chat", "embeddings", "moderations", "responses", "count", "completions"] = "chat",
    profile: Profile = "openai",
    model: str = "m",
    cap: int | None = None,
    cap_field: CapField | None = "max_completion_tokens",
    pseudonym: str | None = "tuck-0123",
) -> Any:
    endpoint = route("POST", PATHS[to])
    tree = parse(body)
    facts = understand(endpoint, tree, pass_unknown=True)
    out = rewrite(
        endpoint,
        tree,
        facts,
        Rewriting(profile=profile, model=model, cap=cap, cap_field=cap_field, pseudonym=pseudonym),
    )
    return None if out is None else json.loads(out)


def test_a_plain_call_gets_tier_and_pseudonym_and_nothing_else() -> None:
    body = b'{"model": "openai/m", "messages": []}'

    assert sent(body) == {
        "model": "m",
        "messages": [],
        "service_tier": "default",
        "safety_identifier": "tuck-0123",
    }


def test_meaning_order_and_numbers_are_kept() -> None:
    body = (
        b'{"temperature":0.70,"messages":[{"content":"\\u00e4 \\/","role":"user"}],"model":"m",'
        b'"logit_bias":{"9":-1.0},"x":1E2}'
    )
    endpoint = route("POST", CHAT)
    tree = parse(body)

    out = rewrite(
        endpoint,
        tree,
        understand(endpoint, tree, pass_unknown=True),
        Rewriting(profile="openai", model="m"),
    )

    assert (
        out
        == (
            '{"temperature":0.70,"messages":[{"content":"ä /","role":"user"}],"model":"m",'
            '"logit_bias":{"9":-1.0},"x":1E2,"service_tier":"default"}'
        ).encode()
    )


def test_the_client_chooses_neither_identity_nor_cache_key_nor_tier() -> None:
    body = (
        b'{"model":"m","messages":[],"user":"root","safety_identifier":"x","prompt_cache_key":"k",'
        b'"service_tier":"auto"}'
    )

    out = sent(body)

    assert "user" not in out
    assert out["safety_identifier"] == "tuck-0123"
    assert out["prompt_cache_key"] == "tuck-0123-k"
    assert out["service_tier"] == "default"


def test_long_cache_keys_stay_apart_and_within_what_the_provider_takes() -> None:
    keys = {
        sent(
            json.dumps({"model": "m", "messages": [], "prompt_cache_key": key}).encode(),
            pseudonym=pseudonym,
        )["prompt_cache_key"]
        for key in ("k" * 100, "k" * 101)
        for pseudonym in ("a" * 64, "b" * 64)
    }

    assert len(keys) == 4
    assert all(len(key) <= 64 for key in keys)


def test_without_a_pseudonym_nobody_is_named() -> None:
    out = sent(b'{"model":"m","messages":[],"user":"me","prompt_cache_key":"k"}', pseudonym=None)

    assert not {"user", "safety_identifier", "prompt_cache_key"} & set(out)


@pytest.mark.parametrize(
    ("caps", "granted", "expected"),
    [
        ({}, 412, {"max_completion_tokens": 412}),
        ({}, None, {}),
        ({"max_tokens": 1000}, 412, {"max_tokens": 412}),
        ({"max_tokens": 100}, None, {"max_tokens": 100}),
        ({"max_completion_tokens": 1000}, 412, {"max_completion_tokens": 412}),
        (
            {"max_tokens": 9, "max_completion_tokens": 50},
            None,
            {"max_tokens": 9, "max_completion_tokens": 9},
        ),
        (
            {"max_tokens": 900, "max_completion_tokens": 50},
            20,
            {"max_tokens": 20, "max_completion_tokens": 20},
        ),
    ],
)
def test_the_cap_goes_where_the_client_put_it_else_where_the_model_reads_it(
    caps: dict[str, int], granted: int | None, expected: dict[str, int]
) -> None:
    out = sent(json.dumps({"model": "m", "messages": [], **caps}).encode(), cap=granted)

    assert {name: value for name, value in out.items() if "tokens" in name} == expected


@pytest.mark.parametrize(
    ("caps", "granted", "expected"),
    [
        ({}, 412, 412),
        ({"max_completion_tokens": 1000}, 412, 412),
        ({"max_completion_tokens": 9}, None, 9),
    ],
)
def test_a_compatible_server_gets_the_cap_in_the_field_that_all_know(
    caps: dict[str, int], granted: int | None, expected: int
) -> None:
    body = json.dumps({"model": "m", "messages": [], **caps}).encode()

    out = sent(body, profile="compatible", cap=granted)

    assert out["max_tokens"] == expected
    assert "max_completion_tokens" not in out


def test_a_compatible_server_gets_no_field_of_openai_alone() -> None:
    body = b'{"model":"m","messages":[],"service_tier":"auto","store":false,"user":"me","safety_identifier":"x"}'

    assert sent(body, profile="compatible") == {"model": "m", "messages": []}


def test_streams_ask_for_usage_and_keep_their_other_options() -> None:
    body = (
        b'{"model":"m","messages":[],"stream":true,"stream_options":{"include_obfuscation":false}}'
    )

    for profile in ("openai", "compatible"):
        out = sent(body, profile=profile)

        assert out["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_known_extras_are_dropped_and_unknown_ones_passed() -> None:
    out = sent(b'{"model":"m","messages":[],"client_metadata":{"a":1},"top_k":5}')

    assert "client_metadata" not in out
    assert out["top_k"] == 5


def test_embeddings_carry_the_pseudonym_as_user() -> None:
    out = sent(b'{"model":"openai/m","input":"x","user":"me","dimensions":8}', to="embeddings")

    assert out == {"model": "m", "input": "x", "user": "tuck-0123", "dimensions": 8}


def test_moderations_state_the_model_that_was_checked() -> None:
    body = b'{"input":"x"}'

    out = sent(body, to="moderations", model="omni-moderation-latest")

    assert out == {"input": "x", "model": "omni-moderation-latest"}


def test_what_needs_no_change_goes_out_as_it_came() -> None:
    assert sent(b'{"model":"m","input":"x"}', to="moderations") is None


def test_a_response_is_not_kept_at_the_provider_and_its_cap_has_one_field() -> None:
    body = b'{"model":"m","input":"Hi","stream":true,"client_metadata":{}}'

    for store in (b"", b',"store":false', b',"store":null'):
        assert sent(body[:-1] + store + b"}", to="responses", cap=50) == {
            "model": "m",
            "input": "Hi",
            "stream": True,
            "store": False,
            "service_tier": "default",
            "max_output_tokens": 50,
            "safety_identifier": "tuck-0123",
        }
    assert sent(body, to="responses", cap=50, profile="compatible") == {
        "model": "m",
        "input": "Hi",
        "stream": True,
        "max_output_tokens": 50,
    }


def test_a_completion_states_its_cap_and_asks_for_usage_and_no_tier() -> None:
    body = b'{"model":"m","prompt":"Hi","stream":true}'

    for profile in ("openai", "compatible"):
        assert sent(body, to="completions", profile=profile) == {
            "model": "m",
            "prompt": "Hi",
            "stream": True,
            "max_tokens": 16,
            "stream_options": {"include_usage": True},
            "user": "tuck-0123",
        }


def test_no_output_stays_no_output() -> None:
    assert sent(b'{"model":"m","prompt":"Hi","max_tokens":0}', to="completions")["max_tokens"] == 0


def test_counting_tokens_sends_what_the_client_said() -> None:
    assert sent(b'{"model":"m","input":"Hi"}', to="count") is None
