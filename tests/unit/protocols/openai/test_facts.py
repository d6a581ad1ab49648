"""What a body asks for is read strictly, and what nobody could price is refused by name (M9, M12)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.unit.protocols.pictures import data_url, png
from tuckshop.domain.errors import InvalidRequestBodyError, ParameterNotAllowedError
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.json_body import Number
from tuckshop.protocols.openai.facts import BodyFacts, understand
from tuckshop.protocols.openai.table import route
from tuckshop.protocols.openai.text import UNBOUNDED

CHAT = route("POST", "/v1/chat/completions")
EMBEDDINGS = route("POST", "/v1/embeddings")
MODERATIONS = route("POST", "/v1/moderations")


def chat(**fields: Any) -> BodyFacts:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return understand(CHAT, body, pass_unknown=True)


def embed(**fields: Any) -> BodyFacts:
    return understand(EMBEDDINGS, {"model": "e", **fields}, pass_unknown=True)


def test_a_plain_call_has_plain_facts() -> None:
    facts = chat()

    assert facts == BodyFacts(model="gpt-4o-mini", text_bytes=len("userHi"), messages=1)


@pytest.mark.parametrize("endpoint", [CHAT, EMBEDDINGS])
@pytest.mark.parametrize("model", [None, 1, "", "m" * 129, ["gpt-4o"]])
def test_a_model_that_is_no_name_is_refused(endpoint: Endpoint, model: Any) -> None:
    with pytest.raises(InvalidRequestBodyError) as caught:
        understand(endpoint, {"model": model, "messages": [], "input": "x"}, pass_unknown=True)

    assert caught.value.param == "model"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream", "true"), ("stream", 1), ("n", 0), ("n", 129), ("n", True), ("n", Number("1.50")), ("n", 1.0),
        ("max_tokens", 0), ("max_tokens", -1), ("max_tokens", "5"), ("max_completion_tokens", 2.0),
        ("max_completion_tokens", 2**40), ("store", "no"), ("messages", None), ("messages", "Hi"),
        ("messages", {}), ("tools", {}), ("tools", ["x"]), ("functions", "x"), ("modalities", "text"),
        ("prompt_cache_key", 7), ("prompt_cache_options", []),
    ],
)  # fmt: skip
def test_a_wrong_type_where_money_depends_on_it_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequestBodyError) as caught:
        chat(**{field: value})

    assert caught.value.param == field


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"store": True}, "store"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"service_tier": 1}, "service_tier"),
        ({"model": "gpt-4o-search-preview"}, "model"),
        ({"model": "openai/gpt-4o-mini-search-preview"}, "model"),
        ({"tools": [{"type": "function", "function": {}}, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "mcp", "server_url": "https://x"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [{"type": "mcp"}]}}},
            "tool_choice.allowed_tools.tools[0].type",
        ),
        ({"prompt_cache_options": {"ttl": "12h"}}, "prompt_cache_options.ttl"),
        ({"prompt_cache_options": {"comparison_response_id": "r"}}, "prompt_cache_options.comparison_response_id"),
        ({"prompt_cache_retention": "72h"}, "prompt_cache_retention"),
        ({"stream": True, "stream_options": {"new": 1}}, "stream_options.new"),
    ],
)  # fmt: skip
def test_what_costs_more_than_can_be_bounded_is_refused_by_name(
    fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(ParameterNotAllowedError) as caught:
        chat(**fields)

    assert caught.value.param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"audio": None, "modalities": None, "prediction": None, "store": None, "moderation": None},
        {"store": False, "modalities": ["text"], "service_tier": "auto"},
        {"service_tier": "default", "n": None, "stream": None, "max_tokens": None},
        {"service_tier": None, "tools": None, "functions": None, "stream_options": None},
        {
            "prompt_cache_options": {"ttl": "30m", "mode": "explicit"},
            "prompt_cache_retention": "24h",
        },
        {"logit_bias": {"50256": -100}, "metadata": {"a": "b"}, "seed": 7, "stop": ["x"]},
        {"tool_choice": "auto", "response_format": {"type": "json_object"}, "verbosity": "low"},
    ],
)
def test_harmless_values_pass(fields: dict[str, Any]) -> None:
    assert chat(**fields).choices == 1


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "text", "text": "x", "image_url": {"url": "https://x"}}, "image_url"),
        ({"type": "input_audio", "input_audio": {}}, "input_audio"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file"),
        ({"type": "video_url", "video_url": {}}, "type"),
    ],
)
def test_a_part_that_is_not_text_is_refused_by_its_place(part: dict[str, Any], param: str) -> None:
    content = [{"type": "text", "text": "look"}, part]

    with pytest.raises(ParameterNotAllowedError) as caught:
        chat(messages=[{"role": "user", "content": content}])

    assert caught.value.param == f"messages[0].content[1].{param}"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Hi", "messages[0]"),
        ({"role": "user", "content": 5}, "messages[0].content"),
        ({"role": "user", "content": ["Hi"]}, "messages[0].content[0]"),
        ({"role": "user", "content": [{"text": "Hi"}]}, "messages[0].content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content[0].text"),
    ],
)
def test_a_message_that_is_none_is_refused_by_its_place(message: Any, param: str) -> None:
    with pytest.raises(InvalidRequestBodyError) as caught:
        chat(messages=[message])

    assert caught.value.param == param


def test_an_earlier_audio_answer_cannot_be_named() -> None:
    with pytest.raises(ParameterNotAllowedError) as caught:
        chat(messages=[{"role": "assistant", "audio": {"id": "audio_1"}}])

    assert caught.value.param == "messages[0].audio"


def test_of_two_caps_the_smaller_is_the_wish() -> None:
    facts = chat(max_tokens=100, max_completion_tokens=50, n=3)

    assert (facts.cap_wanted, facts.choices) == (50, 3)
    assert set(facts.cap_fields) == {"max_tokens", "max_completion_tokens"}


def test_stream_options_are_for_streams_only() -> None:
    with pytest.raises(InvalidRequestBodyError) as caught:
        chat(stream_options={"include_usage": True})
    assert caught.value.param == "stream_options"

    assert chat(stream=True, stream_options={"include_usage": True}).wants_usage
    assert not chat(stream=True, stream_options={"include_usage": False}).wants_usage
    assert not chat(stream=True, stream_options={"include_obfuscation": False}).wants_usage


@pytest.mark.parametrize(
    "hidden",
    [
        {"arguments": {"content": [{"text": "x"}] * 50}},  # where a text belongs
        {"unseen": [[]] * 50},  # brackets alone
        {"text": {"prompt_cache_breakpoint": None}},  # names of ours as names of theirs
    ],
)
def test_what_a_template_may_write_out_counts_as_json(hidden: dict[str, Any]) -> None:
    plain = chat(messages=[{"role": "user"}])

    facts = chat(messages=[{"role": "user", **hidden}])

    (value,) = hidden.values()
    assert facts.text_bytes - plain.text_bytes >= len(json.dumps(value))


@pytest.mark.parametrize(
    "name", ["Model", "MAX_TOKENS", "max_to\u212aens", "me\u017f\u017fages", "N"]
)
def test_a_name_that_differs_from_a_known_one_by_case_is_never_passed(name: str) -> None:
    """K9, M12: a server written in Go would obey it in place of what was checked."""
    with pytest.raises(ParameterNotAllowedError) as refused:
        chat(**{name: "gpt-4o"})

    assert refused.value.param == name


def test_fields_that_are_passed_unknown_count_as_input() -> None:
    documents = [{"title": "t", "text": "x" * 1000}]

    facts = chat(documents=documents)

    assert facts.unknown_parameters == ("documents",)
    assert facts.text_bytes >= chat().text_bytes + len(json.dumps(documents))


def test_each_line_of_a_description_counts_the_mark_before_it() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "\n" * 100}}
    plain = {"type": "function", "function": {"name": "f", "description": ""}}

    more = chat(tools=[tool]).text_bytes - chat(tools=[plain]).text_bytes

    assert more >= 300  # "//", " " and the end of the line


def test_names_that_the_table_does_not_know_are_listed_or_refused() -> None:
    body = {"model": "m", "messages": [], "top_k": 5, "client_metadata": {}}

    facts = understand(CHAT, body, pass_unknown=True)
    with pytest.raises(ParameterNotAllowedError) as caught:
        understand(CHAT, body, pass_unknown=False)

    assert facts.unknown_parameters == ("top_k",)
    assert caught.value.param == "top_k"


def test_all_text_is_counted_in_utf8_bytes() -> None:
    messages = [
        {"role": "system", "content": "Grüße"},
        {"role": "user", "content": [{"type": "text", "text": "\N{GRINNING FACE}"}], "name": "ann"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "42", "unseen": {"key": 123}},
    ]  # fmt: skip
    texts = "system" + "Grüße" + "user" + "text" + "\N{GRINNING FACE}" + "ann"
    texts += (
        "assistant"
        + "c1"
        + "function"
        + "f"
        + "{}"
        + "tool"
        + "c1"
        + "42"
        + "unseen"
        + '{"key": 123}'
    )

    facts = chat(messages=messages)

    assert facts.text_bytes == len(texts.encode())
    assert facts.messages == 4


def test_tools_and_schemas_count_with_their_names() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "enum": ["a", "b"]}}}
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    plain = chat()

    as_tool = chat(tools=[tool], functions=[{"name": "old"}])
    as_format = chat(
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    )

    schema_bytes = len("typeobjectpropertiescitytypestringenumab")
    assert as_tool.text_bytes > plain.text_bytes + schema_bytes + len("weatherold")
    assert as_tool.tools == 2
    assert as_tool.schema_properties == 3  # one property, two listed values
    assert as_format.text_bytes > plain.text_bytes + schema_bytes
    assert as_format.schema_properties == 3


def test_a_reference_counts_as_often_as_it_is_used() -> None:
    def with_uses(count: int) -> int:
        schema = {
            "$defs": {"Big": {"description": "x" * 1000}},
            "properties": {f"p{i}": {"$ref": "#/$defs/Big"} for i in range(count)},
        }
        tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
        return chat(tools=tools).text_bytes

    assert with_uses(5) - with_uses(2) > 3000


def test_a_schema_that_doubles_at_each_level_is_counted_without_walking_it() -> None:
    defs: dict[str, Any] = {"d0": {"description": "x" * 100}}
    for level in range(1, 60):
        ref = {"$ref": f"#/$defs/d{level - 1}"}
        defs[f"d{level}"] = {"anyOf": [ref, ref]}
    schema = {"$defs": defs, "$ref": "#/$defs/d59"}

    facts = chat(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])

    assert facts.text_bytes >= UNBOUNDED


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"next": {"$ref": "#"}}},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#anchor"},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "#/$defs/0/00", "$defs": [["x"]]},
        {"$dynamicRef": "#node"},
    ],
)
def test_recursion_and_references_to_elsewhere_have_no_bound(schema: dict[str, Any]) -> None:
    facts = chat(
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    )

    assert facts.text_bytes >= UNBOUNDED


def test_a_chain_of_many_references_has_no_bound_and_is_no_crash() -> None:
    defs = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(5000)}
    schema = {"$defs": {**defs, "d5000": {}}, "$ref": "#/$defs/d0"}

    facts = chat(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])

    assert facts.text_bytes >= UNBOUNDED


def test_a_target_whose_name_can_be_escaped_in_many_ways_is_walked_once() -> None:
    """Section 8: `~` and `~0` are the same step, so twelve of them name one target in 4,096 ways."""
    target: Any = [[] for _ in range(3_000)]
    spellings = [
        "".join("~0" if number >> bit & 1 else "~" for bit in range(12)) for number in range(3_000)
    ]
    schema = {
        "$defs": {"~" * 12: target},
        "anyOf": [{"$ref": f"#/$defs/{spelling}"} for spelling in spellings],
    }
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    began_s = time.thread_time()

    chat(tools=tools)

    assert time.thread_time() - began_s < 1  # some seconds where each spelling is a walk of its own


def test_objects_within_each_other_are_each_walked_once() -> None:
    """Section 8: sixty references, each to an object that holds all that the next one leads to."""
    inner: Any = [{} for _ in range(10_000)]
    pointers = ["#/$defs"]
    for level in range(58):
        inner = {f"l{57 - level}": inner}
    for level in range(58):
        pointers.append(f"{pointers[-1]}/l{level}")
    schema = {"anyOf": [{"$ref": pointer} for pointer in pointers], "$defs": inner}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    began_s = time.thread_time()

    chat(tools=tools)

    assert time.thread_time() - began_s < 0.2


def test_a_property_that_is_called_ref_is_no_reference() -> None:
    schema = {"properties": {"$ref": {"type": "string"}}}

    facts = chat(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])

    assert facts.text_bytes < 200


@pytest.mark.parametrize(
    ("entries", "text_bytes", "token_ids", "texts"),
    [
        ("Grüße", 7, 0, 1),
        (["a", "bc"], 3, 0, 2),
        ([1, 2, 3], 0, 3, 1),
        ([[1, 2], [3]], 0, 3, 2),
    ],
)
def test_inputs_to_embed_are_counted(
    entries: Any, text_bytes: int, token_ids: int, texts: int
) -> None:
    facts = embed(input=entries, encoding_format="base64", dimensions=256, user="me")

    assert (facts.text_bytes, facts.token_ids, facts.messages) == (text_bytes, token_ids, texts)


@pytest.mark.parametrize(
    "entries", [None, 5, [], ["a"] * 2049, ["a", 1], [True], [-1], [["a"]], [[1], "a"], {"a": 1}]
)
def test_inputs_that_cannot_be_counted_are_refused(entries: Any) -> None:
    with pytest.raises(InvalidRequestBodyError) as caught:
        embed(input=entries)

    assert caught.value.param == "input"


def test_a_moderation_names_no_model_and_gets_the_default_one() -> None:
    facts = understand(
        MODERATIONS, {"input": ["a", {"type": "text", "text": "b"}]}, pass_unknown=False
    )

    assert facts.model == "omni-moderation-latest"
    assert facts.messages == 2


def test_a_moderation_of_images_is_read_and_one_of_sound_refused() -> None:
    shown = {"type": "image_url", "image_url": {"url": "https://x"}}
    heard = {"type": "input_audio", "input_audio": {}}

    facts = understand(MODERATIONS, {"input": ["a", shown]}, pass_unknown=False)

    assert [image.path for image in facts.images] == ["input[1].image_url.url"]
    with pytest.raises(ParameterNotAllowedError) as caught:
        understand(MODERATIONS, {"input": [heard]}, pass_unknown=False)
    assert caught.value.param == "input[0].input_audio"


@pytest.mark.parametrize("entries", [None, 5, [5], {"a": 1}])
def test_a_moderation_of_nothing_readable_is_refused(entries: Any) -> None:
    with pytest.raises(InvalidRequestBodyError):
        understand(MODERATIONS, {"input": entries}, pass_unknown=False)


def test_images_are_put_aside_and_their_letters_are_no_text() -> None:
    url = data_url(png(640, 480))
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "HTTPS://example.org/x.png"}},
        {"type": "image_url", "image_url": {"url": url.replace("png", "gif")}},
    ]

    facts = chat(messages=[{"role": "user", "content": content}])

    assert [(image.pixels, image.detail) for image in facts.images] == [
        ((640, 480), "low"),
        (None, None),
        (None, None),
    ]
    assert facts.images[0].path == "messages[0].content[1].image_url.url"
    assert facts.images[0].detail_path == "messages[0].content[1].image_url.detail"
    assert facts.text_bytes < 80


def test_what_else_an_image_carries_is_text() -> None:
    shown = {"url": "https://x", "caption": "c" * 100}
    content = [{"type": "image_url", "image_url": shown, "more": "m" * 100}]

    assert chat(messages=[{"role": "user", "content": content}]).text_bytes > 200


@pytest.mark.parametrize(
    ("shown", "error", "path"),
    [
        ("https://x", InvalidRequestBodyError, "image_url"),
        ({}, InvalidRequestBodyError, "image_url.url"),
        ({"url": "file:///etc/passwd"}, InvalidRequestBodyError, "image_url.url"),
        ({"url": "data:text/plain;base64,eA=="}, InvalidRequestBodyError, "image_url.url"),
        ({"url": "https://x", "detail": "max"}, ParameterNotAllowedError, "image_url.detail"),
        ({"url": "https://x", "detail": 7}, ParameterNotAllowedError, "image_url.detail"),
    ],
)
def test_an_image_that_is_none_is_refused_by_its_place(
    shown: Any, error: type[InvalidRequestBodyError], path: str
) -> None:
    content = [{"type": "image_url", "image_url": shown}]

    with pytest.raises(error) as caught:
        chat(messages=[{"role": "user", "content": content}])

    assert caught.value.param == f"messages[0].content[0].{path}"


def test_a_cache_that_is_kept_for_hours_is_refused_wherever_it_is_asked_for() -> None:
    mark = {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}

    for kind in ({"type": "text", "text": "x"}, {"type": "image_url", "image_url": {}}):
        with pytest.raises(ParameterNotAllowedError) as caught:
            chat(messages=[{"role": "user", "content": [kind | mark]}])
        assert caught.value.param == "messages[0].content[0].prompt_cache_breakpoint.ttl"
