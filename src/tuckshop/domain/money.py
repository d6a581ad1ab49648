"""Money: integers of nano-US-dollars, parsed from decimal text, never a float."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, NewType

NanoUSD = NewType("NanoUSD", int)

NANO_PER_USD: Final = 1_000_000_000
MAX_NANO_USD: Final = 2**63 - 1  # one signed 64-bit column
_PLACES: Final = 9
_DECIMAL: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?")


def parse_usd(text: str) -> NanoUSD:
    """
    The amount that *text* states in US dollars, such as ``0.20`` or ``1``.

    Returns:
        Nano-USD, exact.
    Raises:
        ValueError: Not a plain non-negative decimal, finer than a nano-dollar, or past 64 bits.
    """
    found = _DECIMAL.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:40]!r} is not an amount of money such as 0.20")
    whole, decimals = found[1].lstrip("0"), (found[2] or "").rstrip("0")
    if len(decimals) > _PLACES:
        raise ValueError(f"{text[:40]!r} is finer than a nano-dollar: at most nine decimals")
    # The digits are counted before they are converted, which takes quadratic time.
    if len(whole) > 10 or (nano := int(whole + decimals.ljust(_PLACES, "0"))) > MAX_NANO_USD:
        raise ValueError(f"{text[:40]!r} is more than can be counted")
    return NanoUSD(nano)


def usd(nano: int) -> Decimal:
    """*nano* nano-USD in US dollars, exact and without trailing zeros; for JSON numbers."""
    value = (Decimal(nano) / NANO_PER_USD).normalize()
    # normalize() writes 100 as 1E+2, which is right but not what people expect to read.
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value


def usd_text(nano: int) -> str:
    """`usd` as text: ``0.2``, ``50``, ``0.000000001``."""
    if nano < 0:
        return f"-{usd_text(-nano)}"
    whole, decimals = divmod(nano, NANO_PER_USD)
    return f"{whole}.{decimals:09d}".rstrip("0") if decimals else str(whole)


def format_usd(nano: int) -> str:
    """*nano* nano-USD as people write it: ``$0.20``, ``$50``, ``$0.000000001``."""
    text = usd_text(nano)
    whole, point, decimals = text.partition(".")
    if point and len(decimals) == 1:
        decimals += "0"
    return f"${whole}{point}{decimals}" if nano >= 0 else f"-{format_usd(-nano)}"


def price_tag(nano: int) -> str:
    """*nano* nano-USD as a sentence says it, with two decimals at least: ``$20.00``, ``$1,234.50``, ``$0.0001``."""
    whole, decimals = divmod(nano, NANO_PER_USD)
    return f"${whole:,}.{f'{decimals:09d}'.rstrip('0').ljust(2, '0')}"
