"""
Which paths of OpenAI's API are served, which are not and why.

Every path of the official specification of 2026-11-23 either has a row here or a reason. Routing looks at the raw
path, compares it exactly and decodes nothing (E3).
"""

from __future__ import annotations

import re
from typing import Final

from tuckshop.domain.errors import (
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundRefusalError,
)
from tuckshop.protocols.endpoints import Endpoint

BASE: Final = "/v1"

_MIB: Final = 1 << 20

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        name="chat.completions",
        group="chat",
        method="POST",
        path="/chat/completions",
        families=("chat",),
        # CreateChatCompletionRequest; what of it is refused by name stands in facts.py.
        parameters=frozenset(
            {
                "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
                "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model",
                "moderation", "n", "parallel_tool_calls", "prediction", "presence_penalty",
                "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort",
                "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
                "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user",
                "verbosity", "web_search_options", "client_metadata",
            }
        ),
        dropped=frozenset({"client_metadata"}),  # Codex sends it; it says nothing about the call
        identity_field="safety_identifier",
        body_max_bytes=20 * _MIB,
        streams=True,
        cap_fields=("max_completion_tokens", "max_tokens"),
    ),
    Endpoint(
        name="responses",
        group="responses",
        method="POST",
        path="/responses",
        families=("chat", "responses"),
        # CreateResponse, and what the official client knows beyond it; what is refused stands in responses.py.
        parameters=frozenset(
            {
                "access_programs", "background", "background_options", "client_metadata", "context_management",
                "conversation", "image", "include", "input", "instructions", "max_output_tokens", "max_tool_calls",
                "metadata", "model", "moderation", "multi_agent", "parallel_tool_calls", "previous_response_id",
                "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning",
                "safety_identifier", "service_tier", "store", "stream", "stream_options", "temperature", "text",
                "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
            }
        ),
        dropped=frozenset({"client_metadata"}),
        identity_field="safety_identifier",
        body_max_bytes=20 * _MIB,
        streams=True,
        events="typed",
        cap_fields=("max_output_tokens",),
        stores_unasked=True,
    ),
    Endpoint(
        name="responses.input_tokens",
        group="responses",
        method="POST",
        path="/responses/input_tokens",
        families=("chat", "responses"),
        parameters=frozenset(
            {
                "conversation", "input", "instructions", "model", "parallel_tool_calls", "personality",
                "previous_response_id", "reasoning", "text", "tool_choice", "tools", "truncation",
            }
        ),
        body_max_bytes=20 * _MIB,
        free=True,
    ),
    Endpoint(
        name="completions",
        group="completions",
        method="POST",
        path="/completions",
        families=("completion",),
        parameters=frozenset(
            {
                "best_of", "echo", "frequency_penalty", "logit_bias", "logprobs", "max_tokens", "model", "n",
                "presence_penalty", "prompt", "seed", "stop", "stream", "stream_options", "suffix", "temperature",
                "top_p", "user",
            }
        ),
        identity_field="user",
        body_max_bytes=4 * _MIB,
        streams=True,
        cap_fields=("max_tokens",),
    ),
    Endpoint(
        name="embeddings",
        group="embeddings",
        method="POST",
        path="/embeddings",
        families=("embedding",),
        parameters=frozenset({"dimensions", "encoding_format", "input", "model", "user"}),
        identity_field="user",
        body_max_bytes=4 * _MIB,
    ),
    Endpoint(
        name="moderations",
        group="moderations",
        method="POST",
        path="/moderations",
        families=("moderation",),
        parameters=frozenset({"input", "model"}),
        default_model="omni-moderation-latest",
        body_max_bytes=4 * _MIB,
    ),
    Endpoint(name="models.list", group="models", method="GET", path="/models"),
    Endpoint(name="models.get", group="models", method="GET", path="/models/{model}"),
)  # fmt: skip

GROUPS: Final[tuple[str, ...]] = tuple(dict.fromkeys(row.group for row in ENDPOINTS))
SERVED: Final[tuple[str, ...]] = tuple(f"{row.method} {BASE}{row.path}" for row in ENDPOINTS)

_LATER: Final = "it is not served yet"
_PAST_US: Final = "it would let a client talk to the provider past this server, uncounted"
_ACCOUNT: Final = "it acts on the whole account behind this server, not on one holder's part of it"

# Paths below these are refused with the reason, whatever the method. It only refuses, so a prefix may decide.
CLOSED: Final[tuple[tuple[str, str], ...]] = (
    ("/agents", _ACCOUNT),
    ("/assistants", "the provider has shut the Assistants API down: use chat completions"),
    ("/audio", _LATER),
    ("/batches", "a batch is billed long after it was sent; it is not served yet"),
    ("/chatkit", _PAST_US),
    ("/containers", _LATER),
    ("/content_provenance_checks", "it has no known price"),
    ("/conversations", "what is kept at the provider is not kept apart by holder yet"),
    ("/decisions", "it has no known price"),
    ("/evals", "it reads what all holders have stored"),
    ("/files", "what is kept at the provider is not kept apart by holder yet"),
    ("/fine_tuning", _ACCOUNT),
    ("/images", _LATER),
    ("/live", _PAST_US),
    ("/organization", _ACCOUNT),
    ("/projects", _ACCOUNT),
    ("/realtime", _PAST_US),
    ("/safety", _ACCOUNT),
    ("/skills", _LATER),
    ("/threads", "the provider has shut the Assistants API down: use chat completions"),
    ("/uploads", "what is kept at the provider is not kept apart by holder yet"),
    ("/vaults", _ACCOUNT),
    ("/vector_stores", "what is kept at the provider is billed for ever; it is not served yet"),
    ("/videos", _LATER),
    ("/webhook_endpoints", _ACCOUNT),
    ("/webhook_event_types", _ACCOUNT),
)

_STORED: Final = "answers are not stored at the provider, so there is nothing to list or to change"

# Official operations on paths that are served by another method, or lie below one.
CLOSED_OPERATIONS: Final[tuple[tuple[str, str, str], ...]] = (
    ("GET", "/chat/completions", _STORED),
    ("GET", "/chat/completions/{id}", _STORED),
    ("POST", "/chat/completions/{id}", _STORED),
    ("DELETE", "/chat/completions/{id}", _STORED),
    ("GET", "/chat/completions/{id}/messages", _STORED),
    ("DELETE", "/models/{model}", "it deletes a model of the account"),
    (
        "POST",
        "/responses/compact",
        "nothing in its body caps the output, so each call would hold the most that the model can say",
    ),
    ("GET", "/responses/{id}", _STORED),
    ("DELETE", "/responses/{id}", _STORED),
    ("GET", "/responses/{id}/input_items", _STORED),
    ("POST", "/responses/{id}/cancel", _STORED),
)

_ID: Final = "[A-Za-z0-9_:.-]+"
# The name of a model may have slashes: behind an upstream's prefix, or of its own. `..` was refused before.
_PLACEHOLDERS: Final = {"{id}": _ID, "{model}": f"{_ID}(?:/{_ID})*"}
_MODEL_MAX: Final = 128


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(
        "/".join(_PLACEHOLDERS.get(part, re.escape(part)) for part in path.split("/"))
    )


_PLAIN: Final = {BASE + row.path: row for row in ENDPOINTS if row.method == "POST"}
_ROWS: Final = tuple((_pattern(row.path), row) for row in ENDPOINTS)
_CLOSED_ROWS: Final = tuple(
    (method, _pattern(path), reason) for method, path, reason in CLOSED_OPERATIONS
)


def route(method: str, path: str) -> Endpoint:
    """
    The row that serves *method* on the raw *path*, which begins with `/v1` and has no query.

    Raises:
        InvalidRequestError: The path is not plain (E3).
        NotFoundRefusalError: No row; names the path that was meant, or why it is not served.
        MethodNotAllowedError: Served, by other methods.
    """
    row = _PLAIN.get(path)
    if row is not None and row.method == method:
        return row
    check_plain(path)
    if not path.startswith(BASE + "/"):
        raise _not_found(path, meant=_meant(path), reason=None)
    below = path.removeprefix(BASE)
    found = _rows_at(below)
    for row in found:
        if row.method == method:
            return row
    for closed_method, pattern, reason in _CLOSED_ROWS:
        if closed_method == method and pattern.fullmatch(below):
            raise _not_found(path, meant=None, reason=reason)
    if found:
        raise MethodNotAllowedError(method, path, tuple(row.method for row in found))
    raise _not_found(path, meant=_meant(path), reason=_reason(below))


def model_in(path: str) -> str:
    """The model that the path of a `models.get` call names."""
    return path.removeprefix(f"{BASE}/models/")


def check_plain(path: str) -> None:
    """
    Is *path* one that nobody could read in two ways?

    Raises:
        InvalidRequestError: It has `%`, a backslash, `//`, or a `.` or `..` segment (E3).
    """
    for mark in ("%", "\\", "//"):
        if mark in path:
            raise InvalidRequestError(f"the path holds {mark}, which no path of this server has")
    segments = path.split("/")
    if "." in segments or ".." in segments:
        raise InvalidRequestError("the path has a segment of dots")


def _rows_at(below: str) -> list[Endpoint]:
    found = [row for pattern, row in _ROWS if pattern.fullmatch(below)]
    if len(below) > len("/models/") + _MODEL_MAX:
        return [row for row in found if row.name != "models.get"]
    return found


def _not_found(path: str, *, meant: str | None, reason: str | None) -> NotFoundRefusalError:
    return NotFoundRefusalError(path, meant=meant, reason=reason, served=SERVED)


def _reason(below: str) -> str | None:
    for prefix, reason in CLOSED:
        if below == prefix or below.startswith(prefix + "/"):
            return reason
    return None


def _meant(path: str) -> str | None:
    """The path that was meant: `/v1` missing or doubled, a slash at the end, capital letters."""
    below = path.rstrip("/").lower()
    while below.startswith(BASE + "/"):
        below = below.removeprefix(BASE)
    if BASE + below != path and _rows_at(below):
        return BASE + below
    return None
