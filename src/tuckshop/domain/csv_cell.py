"""Cells of CSV files that a spreadsheet shows as they are: none is run as a formula, and back again."""

from __future__ import annotations

import re
from typing import Final

# What a spreadsheet takes for the start of a formula, or for the start of a field that is one. An apostrophe that
# stands there already gets another before it, so that the way back is the same for all.
_FORMULA: Final = re.compile(r"(?='*[=+\-@\t\r])")
# Where numbers are written with a comma, cells are cut at semicolons.
_INNER_FORMULA: Final = re.compile(r"(;\s*)(?='*[=+\-@])")
_GUARDED: Final = re.compile(r"'(?='*[=+\-@\t\r])")
_INNER_GUARDED: Final = re.compile(r"(;\s*)'(?='*[=+\-@])")
_NUMBER: Final = re.compile(r"-[0-9]+(\.[0-9]+)?")
# Excel is told by `="0042"` that digits are text.
_TEXT_AS_FORMULA: Final = re.compile(r'="([^"]*)"')


def guarded(text: str) -> str:
    """*text* with an apostrophe wherever a spreadsheet would run what follows. Negative numbers stay numbers."""
    if _NUMBER.fullmatch(text):
        return text
    text = _INNER_FORMULA.sub(r"\1'", text)
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """A cell without what keeps a spreadsheet from taking it for a number or a formula."""
    said = _TEXT_AS_FORMULA.fullmatch(text)
    if said is not None:
        return said[1].strip()
    text = text[1:] if _GUARDED.match(text) else text
    return _INNER_GUARDED.sub(r"\1", text)
