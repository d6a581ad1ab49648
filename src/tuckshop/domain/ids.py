"""Identifiers: a prefix that tells the kind, and a UUIDv7 in base 32 that sorts by time of birth."""

from __future__ import annotations

import random
from typing import Final, Literal

Prefix = Literal[
    "wsp", "grp", "mem", "key", "req", "upr", "ent", "aud", "clm", "mai", "tok", "prc", "flg", "ntc", "hok", "dlv",
    "hld", "apl", "boot",
]  # fmt: skip

# Crockford's alphabet: digits sort before letters, so ids sort as their numbers do.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
# Two digits at a time, high ones first; 26 of them hold 130 bits, and a UUID has 128.
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_PLACES: Final = tuple(range(120, -1, -10))
DEFAULT_WORKSPACE: Final = "wsp_default"


def new_id(prefix: Prefix, now_us: int) -> str:
    """
    A fresh id such as ``grp_06f…``; ids of different microseconds sort by time.

    *now_us* is the wall clock. What milliseconds lack stands in `rand_a` (RFC 9562, section 6.2, method 3).
    """
    value = (now_us // 1000 & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (now_us % 1000 * 4096 // 1000) << 64 | 0b10 << 62
    # An id is no secret, so the quick generator (seeded by the system) will do: the system's own is a call of 20 µs.
    value |= random.getrandbits(62)
    pairs = [_PAIRS[value >> place & 1023] for place in _PLACES]
    return f"{prefix}_{''.join(pairs)}"
