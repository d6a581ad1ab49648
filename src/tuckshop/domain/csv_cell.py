"""Cells of CSV files that a spreadsheet shows as they are: none is run as a formula, and back again."""

from __future__ import annotations

import re
from typing import Final

# What a spreadsheet takes for the start of a formula, or for the start of a field that is one.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_GUARDED: Final = re.compile(r"'[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"-[0-9]+(\.[0-9]+)?")
# Excel is told by `="0042"` that digits are text.
_TEXT_AS_FORMULA: Final = re.compile(r'="([^"]*)"')


def guarded(text: str) -> str:
    """*text* behind an apostrophe where a spreadsheet would run it. Negative numbers stay numbers."""
    if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def unguarded(text: str) -> str:
    """A cell without what keeps a spreadsheet from taking it for a number or a formula."""
    said = _TEXT_AS_FORMULA.fullmatch(text)
    if said is not None:
        return said[1].strip()
    return text[1:] if _GUARDED.match(text) else text
