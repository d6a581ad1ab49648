"""Limits as people write them: amount per window, optionally on chosen models or endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Calendar = Literal["day", "week", "month", "year", "total"]


class Metric(StrEnum):
    """What a limit counts."""

    MONEY = "money"  # nano-USD
    REQUESTS = "requests"
    TOKENS = "tokens"  # input + output, as billed
    INPUT_TOKENS = "input tokens"
    OUTPUT_TOKENS = "output tokens"
    IMAGES = "images"
    CONCURRENCY = "concurrent requests"


@dataclass(frozen=True, slots=True)
class Rolling:
    """A stretch of so many seconds that ends now, at every instant."""

    seconds: int
    text: str  # as printed: "minute", "5 hours", "30 days"


Window = Calendar | Rolling | Literal["now"]  # "now": what runs at this moment (concurrency)


@dataclass(frozen=True, slots=True)
class Selector:
    """Which calls a limit counts: any of these models or endpoint groups. Empty: all calls."""

    models: tuple[str, ...] = ()  # globs over the resolved model id; do not cross "/"
    endpoints: tuple[str, ...] = ()  # globs over endpoint groups


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `str()` prints the long form, which `parse_limit` reads back."""

    amount: int  # nano-USD for money, else a count; 0 blocks
    metric: Metric
    window: Window
    selector: Selector = Selector()
