"""
Which vocabulary a model reads text with, where that is published.

Source: `tiktoken/model.py` of tiktoken 0.14.0, whose table ends at gpt-5; read on 2026-11-24. A model that is not in
this table is bounded by bytes: nothing is guessed from how a name begins (docs/reference/pricing.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from tuckshop.pricing.prices import ModelPrice

Encoding = Literal["cl100k_base", "o200k_base"]


@dataclass(frozen=True, slots=True)
class Counting:
    """How the text of a model is counted."""

    encoding: Encoding
    surplus_percent: int = (
        0  # added to every count, where the vocabulary is likely but not published
    )


_CL100K: Final = Counting("cl100k_base")
_O200K: Final = Counting("o200k_base")
# Models after gpt-5, of its family: nobody has published that they still read with o200k, but all of them seem to.
_LIKELY_O200K: Final = Counting("o200k_base", surplus_percent=10)

# By undated name: a listed snapshot reads as the model it is a snapshot of.
COUNTING: Final[Mapping[str, Counting]] = MappingProxyType(
    dict.fromkeys(
        (
            "babbage-002",
            "davinci-002",
            "gpt-3.5-turbo",
            "gpt-3.5-turbo-16k",
            "gpt-3.5-turbo-instruct",
            "gpt-4",
            "gpt-4-turbo",
            "gpt-4-turbo-preview",
            "gpt-4-0125-preview",
            "gpt-4-1106-preview",
            "text-embedding-3-large",
            "text-embedding-3-small",
            "text-embedding-ada-002",
        ),
        _CL100K,
    )
    | dict.fromkeys(
        (
            "gpt-4o",
            "gpt-4o-mini",
            "gpt-4.1",
            "gpt-4.1-mini",
            "gpt-4.1-nano",
            "gpt-5",
            "gpt-5-mini",
            "gpt-5-nano",
            "gpt-5-chat",
            "gpt-5-chat-latest",
            "gpt-5-codex",
            "gpt-5-pro",
            "o1",
            "o1-pro",
            "o3",
            "o3-mini",
            "o3-pro",
            "o4-mini",
        ),
        _O200K,
    )
    | dict.fromkeys(
        (
            "gpt-5.1",
            "gpt-5.1-chat-latest",
            "gpt-5.1-codex",
            "gpt-5.1-codex-max",
            "gpt-5.1-codex-mini",
            "gpt-5.2",
            "gpt-5.2-chat-latest",
            "gpt-5.2-codex",
            "gpt-5.2-pro",
            "gpt-5.3-chat-latest",
            "gpt-5.3-codex",
            "gpt-5.4",
            "gpt-5.4-mini",
            "gpt-5.4-nano",
            "gpt-5.4-pro",
            "gpt-5.5",
            "gpt-5.5-pro",
            "gpt-5.6",
            "gpt-5.6-luna",
            "gpt-5.6-sol",
            "gpt-5.6-terra",
        ),
        _LIKELY_O200K,
    )
)


def vocabulary_of(price: ModelPrice) -> Encoding | None:
    """The vocabulary that this model surely reads with; None where nobody published it."""
    counting = COUNTING.get(price.model) or COUNTING.get(price.base or "")
    return None if counting is None or counting.surplus_percent else counting.encoding


def counting_of(price: ModelPrice) -> Counting | None:
    """How the text of this model is counted; None where nobody told, or where nothing is billed."""
    if price.free:
        return None
    return COUNTING.get(price.model) or COUNTING.get(price.base or "")
