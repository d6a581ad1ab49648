"""Exact counts where the byte bound does not fit: whether that is worth while for a call, and what it saves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from tuckshop.domain.reservation import AtBest
from tuckshop.gateway.call import Course
from tuckshop.pricing.bound import tokens_saved
from tuckshop.pricing.encodings import Counting
from tuckshop.protocols.openai.body import BodyFacts
from tuckshop.protocols.openai.long_texts import LONG_BYTES, LongText

Texts = Callable[[], Awaitable[Sequence[LongText]]]  # those of a body

TEXT_MAX_BYTES: Final = 1 << 20  # what is longer goes by its bytes
# Text with more bytes per token than this is not what people write. Only for the guess whether to count at all.
BYTES_PER_TOKEN: Final = 16


class TokenCounter(Protocol):
    """Counts and decodes tokens off the loop. *asker* is whom it is done for, so that all get their turn."""

    async def count(self, encoding: str, texts: Sequence[bytes], *, asker: str) -> list[int] | None:
        """How many tokens each text is; None where that cannot be told in time."""

    async def decode(
        self, encoding: str, tokens: Sequence[Sequence[int]], *, asker: str
    ) -> list[str | None] | None:
        """The text of each list of tokens, None of one that is none; None of all where it cannot be told in time."""


def at_best(facts: BodyFacts, course: Course, input_tokens: int) -> AtBest | None:
    """What a call of *input_tokens* might come to if it were counted; None where that cannot be, or saves nothing."""
    if course.counting is None or not LONG_BYTES <= facts.text_bytes <= TEXT_MAX_BYTES:
        return None
    saved = facts.text_bytes - facts.text_bytes // BYTES_PER_TOKEN
    tokens = max(0, input_tokens - saved)
    return AtBest(tokens, course.terms_for(tokens))


async def saved_by_counting(
    counter: TokenCounter,
    counting: Counting,
    texts_of_body: Texts,
    *,
    asker: str,
) -> int:
    """By how many tokens the input bound of a body is too high at least; 0 where nobody could count."""
    texts = await texts_of_body()
    if not texts:
        return 0
    counts = await counter.count(counting.encoding, [text.data for text in texts], asker=asker)
    if counts is None:
        return 0
    return sum(
        tokens_saved(
            text_bytes=len(text.data),
            tokens=tokens,
            line_marks=text.line_marks,
            surplus_percent=counting.surplus_percent,
        )
        for text, tokens in zip(texts, counts, strict=True)
    )
