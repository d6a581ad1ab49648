"""
Questions to `POST /moderations`, and its answers, read as what they are: input from outside.

Whatever is not exactly an answer to the question is none: another number of results, a category that is missing, a
score that is no number from 0 to 1. Who believed half of it would let the other half pass unchecked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from tuckshop.domain.moderation import CATEGORIES, Judged

MODEL: Final = "omni-moderation-latest"
PATH: Final = "/moderations"

# The model takes in 32,768 tokens and cuts off what is longer without a word (the provider's list of models).
MODEL_MAX_TOKENS: Final = 32_768
# A character is at most four bytes of UTF-8 and a token at least one byte, so that a piece is always read whole.
PIECE_CHARACTERS: Final = 8_000
assert 4 * PIECE_CHARACTERS <= MODEL_MAX_TOKENS
# What stands on the edge between two pieces is seen whole up to this length: some eighty words.
OVERLAP_CHARACTERS: Final = 400
# Of one question. The provider states neither; its smallest accounts may ask for 10,000 tokens a minute.
QUESTION_TEXTS: Final = 32
QUESTION_CHARACTERS: Final = 24_000

ANSWER_MAX_BYTES: Final = 1 << 20  # a result has about 1.5 kB

_CATEGORY: Final = re.compile(r"[a-z][a-z/-]{0,39}")  # one that we do not know yet


class NoAnswerError(Exception):
    """What came is no answer to the question."""


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[str, bool | None]
    category_scores: dict[str, float | int | None]


class _Answer(msgspec.Struct):
    results: list[_Result]


_DECODER: Final = msgspec.json.Decoder(_Answer)


def ask_about_texts(texts: Sequence[str]) -> bytes:
    """The body of a question about several texts, each by itself."""
    return msgspec.json.encode({"model": MODEL, "input": list(texts)})


def ask_about_picture(url: str) -> bytes:
    """The body of a question about one image, the most that one takes."""
    part = {"type": "image_url", "image_url": {"url": url}}
    return msgspec.json.encode({"model": MODEL, "input": [part]})


def judged_in(body: bytes, *, count: int) -> list[Judged]:
    """
    What *body* says of *count* contents, in their order.

    Raises:
        NoAnswerError: It is not an answer to that.
    """
    try:
        answer = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NoAnswerError("it is not what an answer looks like") from None
    if len(answer.results) != count:
        raise NoAnswerError(f"it has {len(answer.results)} results for {count} contents")
    return [_judged(result) for result in answer.results]


def _judged(result: _Result) -> Judged:
    scores: dict[str, float] = {}
    for name in CATEGORIES:
        score = result.category_scores.get(name)
        if score is None or result.categories.get(name) is None:
            raise NoAnswerError(f"it says nothing of {name}")
        if not (math.isfinite(score) and 0 <= score <= 1):
            raise NoAnswerError(f"its score of {name} cannot be")
        scores[name] = float(score)
    flagged = frozenset(
        name
        for name, is_flagged in result.categories.items()
        if is_flagged and _CATEGORY.fullmatch(name)
    )
    if result.flagged != bool(flagged):
        raise NoAnswerError("it says that a content is flagged, and that it is not")
    return Judged(flagged, scores)
