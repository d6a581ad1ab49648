"""Made-up embeddings: unit vectors that depend on the input and on nothing else."""

from __future__ import annotations

import base64
import hashlib
import math
from array import array
from dataclasses import dataclass
from typing import Any, Final

from tuckshop.mock_upstream import parameters
from tuckshop.mock_upstream.catalogue import MockModel, find_model
from tuckshop.mock_upstream.errors import ApiError, wrong_type
from tuckshop.mock_upstream.markers import read_markers
from tuckshop.mock_upstream.tokens import count_text

ENTRIES_MAX: Final = 2048
TOKENS_MAX: Final = 300_000


@dataclass(slots=True, kw_only=True)
class EmbeddingsRequest:
    """What is to be embedded."""

    model: MockModel
    markers: dict[str, str]
    inputs: list[str | list[int]]
    input_tokens: int
    dimensions: int
    as_base64: bool


def read_embeddings(body: object) -> EmbeddingsRequest:
    """
    *body* as the provider understands it.

    Raises:
        ApiError: It does not.
    """
    given = parameters.check(body, parameters.EMBEDDINGS, ("model", "input"))
    model = find_model(given["model"], "embedding")
    if "dimensions" in given and not model.shortens:
        raise ApiError(400, "This model does not support specifying dimensions.")
    if given.get("dimensions", 0) > model.dimensions:
        raise ApiError(
            400,
            f"Invalid value for 'dimensions' = {given['dimensions']}. Must be less than or equal to"
            f" {model.dimensions}.",
        )
    inputs = _inputs(given["input"])
    counts = [count_text(item) if isinstance(item, str) else len(item) for item in inputs]
    for count in counts:
        if count > model.context_tokens:
            raise ApiError(
                400,
                f"This model's maximum context length is {model.context_tokens} tokens, however you requested"
                f" {count} tokens ({count} in your prompt; 0 for the completion). Please reduce your prompt; or"
                " completion length.",
            )
    if sum(counts) > TOKENS_MAX:
        raise ApiError(
            400,
            f"Requested {sum(counts)} tokens, max {TOKENS_MAX} tokens per request",
            kind="max_tokens_per_request",
            code="max_tokens_per_request",
        )
    return EmbeddingsRequest(
        model=model,
        markers=read_markers("\n".join(item for item in inputs if isinstance(item, str))),
        inputs=inputs,
        input_tokens=sum(counts),
        dimensions=given.get("dimensions", model.dimensions),
        as_base64=given.get("encoding_format") == "base64",
    )


def reply_object(request: EmbeddingsRequest, model: str) -> dict[str, Any]:
    """The reply to *request*."""
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _vector(item, request.dimensions, as_base64=request.as_base64),
            }
            for index, item in enumerate(request.inputs)
        ],
        "model": model,
        "usage": {"prompt_tokens": request.input_tokens, "total_tokens": request.input_tokens},
    }


def _inputs(value: Any) -> list[str | list[int]]:
    items: list[Any] = [value] if isinstance(value, str) else value
    if items and all(_is_id(item) for item in items):
        items = [items]
    if not items or len(items) > ENTRIES_MAX or not all(items):
        raise ApiError(
            400,
            "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
        )
    for index, item in enumerate(items):
        if not isinstance(item, str) and not (
            isinstance(item, list) and all(_is_id(number) for number in item)
        ):
            raise wrong_type(f"input[{index}]", "a string or an array of integers", item)
    return items


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def _vector(item: str | list[int], dimensions: int, *, as_base64: bool) -> str | list[float]:
    text = item.encode() if isinstance(item, str) else repr(item).encode()
    raw = array("h", hashlib.shake_128(text).digest(2 * dimensions))
    length = math.sqrt(sum(value * value for value in raw)) or 1.0
    vector = array("f", [value / length for value in raw])
    return base64.b64encode(vector.tobytes()).decode() if as_base64 else list(vector)
