"""Which text the bytes of an exported file are. Decided by rules, never guessed from frequencies."""

from __future__ import annotations

import codecs
from typing import Final

from tuckshop.services.roster_csv.errors import RosterFileError

_BINARY: Final = (
    (b"PK\x03\x04", "an Excel or OpenDocument workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"%PDF", "a PDF"),
    (b"{\\rtf", "a text with layout (RTF)"),
)
_MARKED: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_of(raw: bytes) -> tuple[str, str]:
    """
    The text of *raw*, and the name of the encoding that was taken.

    In this order: a byte order mark; UTF-16 without one, known by the zero bytes of its first character; UTF-8;
    Windows-1252, which Excel writes in western Europe.

    Raises:
        RosterFileError: It is no text, or none of these.
    """
    for start, what in _BINARY:
        if raw.startswith(start):
            raise RosterFileError(
                f"this is {what}, not CSV: open it and save it as 'CSV UTF-8 (comma delimited)'"
            )
    encoding = next((name for mark, name in _MARKED if raw.startswith(mark)), None)
    if encoding is None and raw[1:2] == b"\0":
        encoding = "utf-16-le"
    elif encoding is None and raw[:1] == b"\0":
        encoding = "utf-16-be"
    for name in (encoding,) if encoding else ("utf-8", "cp1252"):
        try:
            text = raw.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text, name.removesuffix("-sig")
    raise RosterFileError(
        "the text is neither UTF-8, UTF-16 nor Windows-1252: save the file as 'CSV UTF-8'"
    )
