"""The server's own log: one line per event, as text for people or as JSON for machines, never with content or keys."""

from __future__ import annotations

import json
import logging
import sqlite3
import sys
import traceback
from datetime import UTC, datetime
from typing import Final, Literal

from tuckshop.domain.errors import SettingsError, StoreError

# Line breaks, control and bidirectional characters could make one line look like two, or like another (P6).
_BIDI: Final = (
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029"
)
_ESCAPES: Final = {c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160))} | {
    ord(c): f"\\u{ord(c):04x}" for c in _BIDI
}


def one_line(text: str) -> str:
    """*text* with every character that could break out of its line escaped."""
    return text.translate(_ESCAPES)


# Whose words are our own, or the system's: of any other error only the kind is told, because its words may be made of
# what somebody sent (a KeyError names the key, a UnicodeError shows the bytes).
_OUR_WORDS: Final = (StoreError, SettingsError, AssertionError, sqlite3.Error)


def told(error: BaseException) -> str:
    """How *error* came about, as a traceback without anything that it was about (P1)."""
    lines: list[str] = []
    seen: set[int] = set()
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for link in reversed(chain):
        frames = traceback.extract_tb(link.__traceback__)
        lines += [line.rstrip("\n") for line in traceback.format_list(frames)]
        lines.append(_name_of(link))
        if isinstance(link, BaseExceptionGroup):
            lines += [f"  of: {told(one)}" for one in link.exceptions]
    return "\n".join(lines)


def _name_of(error: BaseException) -> str:
    name = type(error).__qualname__
    if isinstance(error, OSError):
        return f"{name}: {error.strerror}"  # without the path, which may be made of a name
    return f"{name}: {error}" if isinstance(error, _OUR_WORDS) else name


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; JSON itself escapes what could break the line."""
        line = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = told(record.exc_info[1])
        return json.dumps(line)


class ConsoleFormatter(logging.Formatter):
    """Time, level, message; a traceback below where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record for a person's eyes."""
        text = f"{_time_of(record)} {record.levelname.lower():7} {one_line(record.getMessage())}"
        if record.exc_info and record.exc_info[1]:
            # Set off, so that no line of it looks like one of the log, whatever the error says.
            lines = told(record.exc_info[1]).split("\n")
            text += "".join(f"\n  {one_line(line)}" for line in lines)
        return text


def configure(level: str, form: Literal["auto", "json", "console"]) -> None:
    """Log to standard error from now on."""
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ConsoleFormatter() if form == "console" else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _time_of(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
