"""A line of the log is one event, whatever was in it (P6)."""

from __future__ import annotations

import json
import logging
import sqlite3

from tuckshop.domain.errors import StoreError
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


def log_of(error: BaseException) -> str:
    told = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed", (), told)
    return JsonFormatter().format(record) + ConsoleFormatter().format(record)


def test_an_error_tells_its_kind_and_its_way_and_nothing_of_what_it_was_about() -> None:
    """P1: the words of an error may be made of what somebody sent."""
    sent, text = "CANARY", ""
    try:
        try:
            (sent.encode() + b"\xff").decode()
        except UnicodeDecodeError as error:
            raise KeyError(sent) from error
    except KeyError as error:
        text = log_of(error)

    assert "CANARY" not in text
    assert "UnicodeDecodeError" in text
    assert "KeyError" in text
    assert "test_logs.py" in text


def test_each_error_of_a_group_is_told_by_its_kind() -> None:
    text = log_of(ExceptionGroup("CANARY", [ValueError("CANARY"), KeyError("CANARY")]))

    assert "CANARY" not in text
    assert "ValueError" in text
    assert "KeyError" in text


def test_what_the_system_and_the_ledger_say_is_told() -> None:
    assert "No space left" in log_of(OSError(28, "No space left on device", "/home/CANARY"))
    assert "CANARY" not in log_of(OSError(28, "No space left on device", "/home/CANARY"))
    assert "damaged" in log_of(StoreError("the ledger is damaged"))
    assert "disk is full" in log_of(sqlite3.OperationalError("database or disk is full"))
