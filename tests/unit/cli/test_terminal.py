"""Colours and the seconds of a long call: on a terminal only, and never where they were refused."""

from __future__ import annotations

import time

import pytest

from tuckshop.cli import terminal
from tuckshop.cli.main import cli
from tuckshop.cli.terminal import counting, takes_colours, waiting


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


def test_what_is_done_part_by_part_is_counted_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def count(**options: bool) -> str:
        with counting("Members", 400, **options) as more_are_done:
            more_are_done(200)
            more_are_done(200)
        said = capsys.readouterr()
        assert said.out == ""
        return said.err

    assert count() == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    shown = count()

    assert "Members" in shown
    assert "200/400" in shown
    assert "400/400" in shown
    assert count(hidden=True) == ""


def test_a_long_call_tells_how_far_it_is_where_that_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(terminal, "SHOWN_AFTER_S", 0.02)

    with waiting("Copying", so_far=lambda: "1.0 MB"):
        time.sleep(0.1)

    assert "\rCopying … 1 s, 1.0 MB" in capsys.readouterr().err
