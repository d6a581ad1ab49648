"""Colours and the seconds of a long call: on a terminal only, and never where they were refused."""

from __future__ import annotations

import time

import pytest

from tuckshop.cli import terminal
from tuckshop.cli.main import cli
from tuckshop.cli.terminal import takes_colours, waiting


@pytest.mark.parametrize(
    ("environ", "is_taken"),
    [
        ({}, True),
        ({"TERM": "xterm-256color"}, True),
        ({"NO_COLOR": ""}, True),  # no-color.org: present and not empty
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "no matter what"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_can_be_refused(environ: dict[str, str], is_taken: bool) -> None:
    assert takes_colours(environ) == is_taken


@pytest.mark.parametrize("refusal", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_command_sends_colours_unless_refused(
    monkeypatch: pytest.MonkeyPatch, refusal: dict[str, str]
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in refusal.items():
        monkeypatch.setenv(name, value)
    context = cli.make_context("tuckshop", ["completion", "bash"])

    with context:
        cli.invoke(context)

    assert context.color is (False if refusal else None)


def test_a_long_call_tells_its_seconds_on_a_terminal_and_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(terminal, "SHOWN_AFTER_S", 0.02)

    with waiting("Taking the roster in"):
        time.sleep(0.1)
    told = capsys.readouterr()

    assert told.out == ""
    assert told.err.startswith("\rTaking the roster in … 1 s\r")
    assert told.err.endswith(" \r")


def test_a_quick_call_and_a_hidden_one_tell_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    with waiting("Making keys"):
        pass
    monkeypatch.setattr(terminal, "SHOWN_AFTER_S", 0.01)
    with waiting("Making keys", hidden=True):
        time.sleep(0.05)

    assert capsys.readouterr().err == ""


def test_a_pipe_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "SHOWN_AFTER_S", 0.01)

    with waiting("Copying"):
        time.sleep(0.05)

    assert capsys.readouterr().err == ""
