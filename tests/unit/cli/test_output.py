"""What people read: money, times, limits as sentences, and nothing that a terminal would obey."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cli.fake_server import STANDING
from tuckshop.cli.output import (
    clean,
    json_text,
    limit_sentence,
    print_facts,
    print_keys,
    print_limits,
    print_table,
    usd,
    when,
)

_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "$0.00"),
        (Decimal("0.2"), "$0.20"),
        (Decimal("0.000000001"), "$0.000000001"),
        (Decimal("1E-7"), "$0.0000001"),
        (Decimal("1234.5"), "$1,234.50"),
        (50, "$50.00"),
        (Decimal("-0.5"), "-$0.50"),
        (None, ""),
    ],
)
def test_money_is_written_as_people_write_it(value: Decimal | int | None, text: str) -> None:
    assert usd(value) == text


def test_times_are_read_in_utc() -> None:
    assert when("2026-11-30T23:00:00Z") == "2026-11-30 23:00 UTC"
    assert when("2026-11-24T10:00:07.123456Z") == "2026-11-24 10:00:07 UTC"
    assert when(None) == ""


def test_a_limit_is_a_sentence() -> None:
    exact = STANDING | {
        name: Decimal(str(STANDING[name])) for name in ("used", "reserved", "remaining")
    }

    assert limit_sentence(exact) == (
        "$0.20/month (for this member): $0.013 used, $0.002 reserved, $0.185 left;"
        " renews 2026-11-30 23:00 UTC"
    )


def test_what_is_used_held_and_left_adds_up_to_what_stands_before_it() -> None:
    """M1: a grant is no part of the limit, and yet it is what is spent."""
    amounts = {"used": "0.3", "reserved": "0", "remaining": "0.4", "lifted": "0.5"}
    lifted = STANDING | {name: Decimal(text) for name, text in amounts.items()}

    assert limit_sentence(lifted).startswith(
        "$0.20/month and $0.50 granted or carried over (for this member): $0.30 used, $0.00 reserved,"
        " $0.40 left;"
    )


def test_a_long_fact_is_broken_between_words_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = [("id", "grp_1"), ("at worst", "100 members: at most $20.00 a month; " * 3)]
    print_facts("swa", facts)
    piped = capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")

    print_facts("swa", facts)

    lines = capsys.readouterr().out.splitlines()
    assert len(piped.splitlines()) == 3
    assert len(lines) == 4
    assert all(len(line) <= 80 for line in lines)
    assert lines[3].startswith(" " * 12)


def test_a_count_is_no_money() -> None:
    standing = {
        "limit": "160000 tokens total",
        "scope": "key",
        "used": 1600,
        "reserved": 0,
        "remaining": 158400,
        "resets_at": None,
    }

    sentence = limit_sentence(standing)

    assert sentence.endswith("1,600 used, 0 reserved, 158,400 left")


@given(st.text())
def test_no_text_can_speak_to_the_terminal(text: str) -> None:
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in clean(text))


def test_direction_marks_are_made_visible() -> None:
    assert clean("a\u202eb\x1b[31m\nc") == "a\\u202eb\\u001b[31m\\u000ac"


@given(st.dictionaries(_TEXT, _TEXT))
def test_json_keeps_its_meaning_and_holds_nothing_a_terminal_obeys(value: dict[str, str]) -> None:
    text = json_text(value)

    assert json.loads(text) == value
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 for c in text)


def test_json_keeps_money_to_the_last_decimal() -> None:
    assert '"cost_usd": 0.123456789' in json_text({"cost_usd": Decimal("0.123456789")})


def test_a_table_is_aligned_text_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        ["name", "cost"], [["Ada", "$0.20"], ["Grace", "$12.00"]], right=frozenset({"cost"})
    )

    assert capsys.readouterr().out.splitlines() == [
        "NAME     COST",
        "Ada     $0.20",
        "Grace  $12.00",
    ]


def test_a_table_is_drawn_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    print_table(["name"], [["[bold]Ada\x1b[31m"]])

    out = capsys.readouterr().out
    assert "[bold]Ada\\u001b[31m" in out


def test_a_table_without_rows_is_its_headings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    print_table(["name", "id"], [])

    assert "name" in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["80", "60", "40"])
def test_a_key_can_be_copied_from_any_terminal(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", columns)
    secret = "sk-tuck-" + "x" * 40

    print_keys([{"external_id": "4711", "key": secret}, {"external_id": "4712", "key": secret}])

    assert capsys.readouterr().out.count(secret) == 2


def test_a_column_that_is_empty_throughout_is_not_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    print_table(["name", "notes"], [["Ada", ""], ["Grace", None]])

    assert "notes" not in capsys.readouterr().out


def test_a_limit_is_broken_between_words_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "50")

    print_limits([STANDING | {"used": Decimal("0.013")}])

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 50 for line in lines)


def test_a_narrow_terminal_gets_fewer_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")

    print_table(["name", "id", "note"], [["Ada", "x" * 30, "y" * 20]], expendable=["id", "name"])

    said = capsys.readouterr()
    assert "x" * 30 not in said.out
    assert "Ada" in said.out
    assert "y" * 20 in said.out
    assert "id. All of it: --json" in said.err
