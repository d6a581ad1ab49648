"""A line of the log is one event, whatever was in it (P6)."""

from __future__ import annotations

import json
import logging

from tuckshop.logs import ConsoleFormatter, JsonFormatter

HOSTILE = "a\r\nb\x1b[31m\u202e\u061c\u2028"


def record_with_error() -> logging.LogRecord:
    try:
        raise ValueError(f"{HOSTILE}\n2026-11-24T00:00:00.000Z info    all is well")
    except ValueError as error:
        told = (ValueError, error, error.__traceback__)
    return logging.LogRecord("x", logging.ERROR, "x.py", 1, "said %s", (HOSTILE,), told)


def test_an_error_cannot_write_a_line_of_the_log_nor_steer_a_terminal() -> None:
    first, *rest = ConsoleFormatter().format(record_with_error()).split("\n")

    assert first.endswith(r"said a\x0d\x0ab\x1b[31m\u202e\u061c\u2028")
    assert rest
    for line in rest:
        assert line.startswith("  ")
        assert line.isprintable()


def test_as_json_an_event_is_one_line_of_ascii() -> None:
    line = JsonFormatter().format(record_with_error())

    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["message"] == f"said {HOSTILE}"
