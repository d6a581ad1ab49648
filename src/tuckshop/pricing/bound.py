"""
The most a call can cost: what is held before it is dispatched.

A token of a byte-level vocabulary covers at least one byte, so the bytes of all text leaves bound the tokens of the
text. The constants bound what the provider adds around it: the true overhead is 3 to 4 tokens per message. Where that
bound does not fit, texts are counted exactly, and the bound becomes smaller by what each of them saves.
"""

from __future__ import annotations

from typing import Final

from tuckshop.domain.reservation import HoldTerms
from tuckshop.pricing.prices import ModelPrice, Rates

TOKENS_PER_REQUEST: Final = 64
TOKENS_PER_MESSAGE: Final = 16
TOKENS_PER_TOOL: Final = 32
TOKENS_PER_SCHEMA_PROPERTY: Final = 8
# A counted text meets others at both ends, where its tokens may be cut otherwise than alone: 3 more at most were found
# over 640,000 hostile pairs (docs/adr/0014-count-exactly-in-a-worker-process.md).
TOKENS_PER_TEXT: Final = 8
TOKENS_PER_LINE_MARK: Final = 2
# One call takes many texts, each up to the model's maximum, and at most this in all (OpenAI's specification).
EMBEDDING_CALL_MAX_TOKENS: Final = 300_000


def input_bound(
    *,
    text_bytes: int,
    messages: int = 0,
    tools: int = 0,
    schema_properties: int = 0,
    token_ids: int = 0,
    image_tokens: int = 0,
    prompts: int = 1,
    price: ModelPrice | None = None,
) -> int:
    """
    The most input tokens that a call with such a body can be billed.

    Args:
        text_bytes: UTF-8 bytes of all text leaves, tools and schemas too.
        messages: Messages, or texts to embed.
        tools: Tools and functions offered.
        schema_properties: Properties in all schemas of tools and of the response format.
        token_ids: Length of all arrays of token ids: each is one token already.
        image_tokens: The most that its images are billed.
        prompts: Inputs that each go to the model by themselves.
        price: The model. What it cannot take in is answered with an error that is not billed, so it caps the bound.
    """
    bound = (
        text_bytes
        + token_ids
        + image_tokens
        + TOKENS_PER_REQUEST
        + TOKENS_PER_MESSAGE * messages
        + TOKENS_PER_TOOL * tools
        + TOKENS_PER_SCHEMA_PROPERTY * schema_properties
    )
    most = None if price is None else takes_in(price, prompts)
    return bound if most is None else min(bound, most)


def terms_of(price: ModelPrice, *, input_bound: int, may_keep_12h: bool = True) -> HoldTerms:
    """
    The rates a hold is computed with: for any usage within the bound they cost at least what the usage will.

    Args:
        price: The model asked for.
        input_bound: The most input tokens of the call; decides whether the long-context rates can apply.
        may_keep_12h: False where the call surely does not ask for the 12-hour cache lifetime.
    """
    if price.free:
        return HoldTerms(
            price_id=price.price_id, input_nano_per_million=0, output_nano_per_million=0
        )
    # Both sides of the cliff: the bound may pass the start and the true input stay below.
    possible = (price.rates_for(0), price.rates_for(input_bound))
    return HoldTerms(
        price_id=price.price_id,
        input_nano_per_million=max(_dearest_input(rates, may_keep_12h) for rates in possible),
        output_nano_per_million=max(rates.output or 0 for rates in possible),
    )


def takes_in(price: ModelPrice, prompts: int = 1) -> int | None:
    """
    The most input tokens of one call to this model, all texts together; None where nothing is known to bound it.

    Args:
        prompts: Inputs that each go to the model by themselves, each up to its window.
    """
    match price.family:
        case "chat" | "responses" | "completion":
            return price.takes_in and prompts * price.takes_in
        case "embedding":
            return EMBEDDING_CALL_MAX_TOKENS
        case "moderation":
            return None  # any number of texts; nothing is billed


def _dearest_input(rates: Rates, may_keep_12h: bool) -> int:
    dearest = max(rates.input, rates.cached_input, rates.cache_write)
    return max(dearest, rates.cache_write_12h) if may_keep_12h else dearest


def tokens_saved(*, text_bytes: int, tokens: int, line_marks: int, surplus_percent: int) -> int:
    """
    How much smaller the bound becomes when a text of so many bytes turns out to be so many tokens; never below 0.

    Args:
        tokens: As a tokenizer counts the text alone.
        line_marks: Lines of the text that the provider writes a mark before.
        surplus_percent: Added to the count where the vocabulary is not known for sure.
    """
    most = -(-tokens * (100 + surplus_percent) // 100)
    most += TOKENS_PER_TEXT + TOKENS_PER_LINE_MARK * line_marks
    return max(0, text_bytes - most)
