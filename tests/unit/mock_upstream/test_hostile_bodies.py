"""Whatever JSON it is sent, the made-up upstream answers or refuses; it never breaks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuckshop.mock_upstream import parameters
from tuckshop.mock_upstream.connection import Connection
from tuckshop.mock_upstream.options import MockOptions
from tuckshop.mock_upstream.upstream import MockUpstream

WORDS = (
    *("type", "function", "name", "parameters", "json_schema", "schema", "properties", "required"),
    *(
        "items",
        "anyOf",
        "$ref",
        "enum",
        "minimum",
        "minItems",
        "role",
        "content",
        "text",
        "image_url",
    ),
    *("include_usage", "tool_calls", "strict", "format", "allOf", "maxItems", "minLength"),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats(-3, 3)
    | st.sampled_from(
        ("", "x", "auto", "none", "function", "object", "json", "user", "#", "[[tokens:x]]")
    )
    | st.sampled_from(
        ("[[speed:-1]]", "[[tokens:1e400]]", "[[at:-4]]", "[[cached:nan]]", "json_schema")
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=2), inner, max_size=4)
    ),
    max_leaves=8,
)
MESSAGES = [{"role": "user", "content": "as json"}]


class Ear(asyncio.Transport):
    """Hears what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""

    def abort(self) -> None:
        """There is nothing to close."""

    def is_closing(self) -> bool:
        return False


async def post(path: str, body: bytes) -> bytes:
    upstream = MockUpstream(MockOptions())
    connection, ear = Connection(upstream, 1), Ear()
    connection.connection_made(ear)
    head = f"POST /v1/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n"
    connection.data_received(head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body))
    for _ in range(2000):
        if connection.current is None:
            return ear.data
        await asyncio.sleep(0)
    raise AssertionError(f"no end to {ear.data!r}")


def check(path: str, body: dict[str, Any]) -> None:
    data = asyncio.run(post(path, json.dumps(body).encode()))
    status = int(data.split()[1])
    assert status in (200, 400, 403, 404), data
    if status != 200:
        assert set(json.loads(data.partition(b"\r\n\r\n")[2])["error"]) == {
            "message",
            "type",
            "param",
            "code",
        }


@settings(deadline=None, max_examples=100)
@given(more=st.dictionaries(st.sampled_from(sorted(parameters.CHAT)), JSON, min_size=1, max_size=3))
def test_chat(more: dict[str, Any]) -> None:
    check("chat/completions", {"model": "gpt-4o-mini", "messages": MESSAGES} | more)


@settings(deadline=None, max_examples=100)
@given(schema=JSON, called=st.booleans(), stream=st.booleans())
def test_schemas(schema: Any, called: bool, stream: bool) -> None:
    body: dict[str, Any] = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": stream}
    if called:
        body["tools"] = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    else:
        form = {"name": "f", "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    check("chat/completions", body)


@settings(deadline=None, max_examples=50)
@given(
    messages=st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": JSON}), max_size=2)
)
def test_messages(messages: Any) -> None:
    check("chat/completions", {"model": "gpt-4o-mini", "messages": messages})


@settings(deadline=None, max_examples=50)
@given(given_=JSON, path=st.sampled_from(("embeddings", "moderations")))
def test_inputs(given_: Any, path: str) -> None:
    model = "text-embedding-3-small" if path == "embeddings" else "omni-moderation-latest"
    check(path, {"model": model, "input": given_})


@pytest.mark.parametrize(
    "more",
    [
        {"stop": [1]},
        {
            "tool_choice": {"function": 1},
            "tools": [{"type": "function", "function": {"name": "f"}}],
        },
        {"response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": None}}},
        {"response_format": {"type": ["x"]}},
        {"stream_options": {"include_usage": None}, "stream": True},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"enum": 5}}}]},
        {"messages": [{"role": "user", "content": "[[speed:0]] [[tokens:nan]]"}]},
        {"messages": [{"role": ["user"], "content": "x"}]},
        {"messages": [{"role": "user", "content": "[[tokens:-1]]"}]},
        {"messages": [{"role": "user", "content": "[[reasoning:1e9]]"}], "model": "o3"},
        {"service_tier": []},
    ],
)
def test_odd_bodies(more: dict[str, Any]) -> None:
    check("chat/completions", {"model": "gpt-4o-mini", "messages": MESSAGES} | more)
