"""Usage as OpenAI's API states it, in chunks, events and whole replies alike; of either API's names."""

from __future__ import annotations

from typing import Final

import msgspec

from tuckshop.domain.usage import Usage


class _CacheWrites(msgspec.Struct):
    ttl_12h_tokens: int | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_tokens_details: _CacheWrites | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    # The Responses API's names of the same.
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _PromptDetails | None = None


_DECODER: Final = msgspec.json.Decoder(_Usage)

# All that decoding what an upstream sends can raise: it may be no JSON, no UTF-8, or absurdly deep.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_usage(raw: bytes | msgspec.Raw) -> Usage | None:
    """
    The usage object *raw*; None: null, or not one that could be charged by.

    A total above its parts counts as output: some servers leave hidden reasoning out of `completion_tokens` alone.
    """
    try:
        stated = _DECODER.decode(raw)
    except UNREADABLE:
        return None
    total = stated.prompt_tokens
    output, details = stated.completion_tokens, stated.prompt_tokens_details
    if total is None:
        total = stated.input_tokens
        output, details = stated.output_tokens, stated.input_tokens_details
    if total is None:
        return None
    if stated.total_tokens is not None:
        output = max(output or 0, stated.total_tokens - total)
    if output is None:
        return None
    details = details or _PromptDetails()
    writes = details.cache_write_tokens_details or _CacheWrites()
    return Usage(
        input_tokens=total,
        cached_tokens=details.cached_tokens or 0,
        cache_write_tokens=details.cache_write_tokens or 0,
        output_tokens=output,
        cache_write_12h_tokens=writes.ttl_12h_tokens or 0,
    )
