"""
What the commands print: JSON as the API gave it, tables and sentences for people.

Names and models come from outside, so everything that a terminal could obey is made visible instead.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

import click
import msgspec

from tuckshop.cli.client import Json

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
# Controls (line ends are some), and the invisible characters that turn the direction of what follows.
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNING: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)

_GAP: Final = 3  # between columns of a drawn table
_FOLDED_MIN: Final = 8  # a column that is folded narrower than this can no longer be read

SCOPES: Final = {
    "member": "for this member",
    "key": "for this key",
    "group": "shared by the group",
    "workspace": "shared by all groups",
    "upstream": "the upstream's",
}


def json_text(value: object) -> str:
    """*value* as indented JSON, with money to the last decimal and nothing a terminal would obey."""
    text = msgspec.json.format(_ENCODER.encode(value), indent=2).decode()
    return "".join(c if c == "\n" or _is_seen(c) else _escaped(c) for c in text)


def json_line(value: object) -> str:
    """*value* as JSON on one line, as people read it."""
    text = _ENCODER.encode(value).decode()
    return msgspec.json.format(text, indent=0)


def print_json(value: object) -> None:
    """Print *value* as JSON."""
    click.echo(json_text(value))


def clean(value: object) -> str:
    """*value* as one line of text without anything that a terminal would obey; None is empty."""
    text = "" if value is None else str(value)
    return text if text.isprintable() else "".join(c if _is_seen(c) else _escaped(c) for c in text)


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: frozenset[str] = frozenset(),
    whole: frozenset[str] = frozenset(),
    expendable: Sequence[str] = (),
) -> None:
    """
    Print *rows* below *headings*: drawn on a terminal, aligned text elsewhere.

    Args:
        right: Columns of numbers.
        whole: Columns whose cells are never folded, as numbers never are: what is copied, or read at a glance.
        expendable: Columns that are left out, in this order, as long as a terminal is too narrow for the table.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _draw_table(headings, cells, right, right | whole, expendable)
        return
    for line in _aligned([[heading.upper() for heading in headings], *cells], headings, right):
        click.echo(line)


def print_keys(members: Sequence[Json]) -> None:
    """Print the keys that *members* were just issued: no other chance to copy them comes."""
    print_table(
        ["external id", "key"],
        [[one["external_id"], one.get("key", "(has one)")] for one in members],
        whole=frozenset({"key"}),
    )
    if any("key" in one for one in members):
        note("Keys are shown only now: tuckshop keeps no copy.")


def print_facts(title: str, facts: Sequence[tuple[str, object]]) -> None:
    """Print a heading and, below it, name and value of each fact that has a value."""
    click.secho(clean(title), bold=True)
    shown = [(name, clean(value)) for name, value in facts if value not in (None, "")]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(folded(f"  {name:<{width}}  {value}", indent=width + 4, whole=True))


def print_limits(standings: Sequence[Json]) -> None:
    """Print every limit in force as a sentence."""
    if not standings:
        click.echo("  no limits in force")
    for standing in standings:
        click.echo(folded(f"  {limit_sentence(standing)}", indent=6))


def folded(line: str, *, indent: int, whole: bool = False) -> str:
    """*line* as a terminal has room for it, broken at white space (*whole*: alone); elsewhere as it is."""
    if not sys.stdout.isatty():
        return line
    return textwrap.fill(
        line,
        shutil.get_terminal_size().columns,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=not whole,
    )


def note(text: str) -> None:
    """Tell something that is no data: on stderr."""
    click.echo(clean(text), err=True)


def limit_sentence(standing: Json) -> str:
    """A limit with its state: ``$0.20/month (…): $0.013 used, $0.002 reserved, $0.185 left; renews …``."""
    is_money = str(standing["limit"]).startswith("$")

    def amount(name: str) -> str:
        value = standing[name]
        return usd(value) if is_money else f"{value:,}"

    scope = SCOPES.get(standing["scope"], standing["scope"])
    if "used" not in standing:  # over more than this token may see
        return clean(f"{standing['limit']} ({scope}): {standing.get('state')}")
    # So that what is used, reserved and left adds up to what stands before it.
    more = f" and {amount('lifted')} granted or carried over" if "lifted" in standing else ""
    sentence = (
        f"{standing['limit']}{more} ({scope}): {amount('used')} used, {amount('reserved')} reserved,"
        f" {amount('remaining')} left"
    )
    if standing["resets_at"] is not None:
        sentence += f"; renews {when(standing['resets_at'])}"
    return clean(sentence)


def usd(value: Decimal | int | None) -> str:
    """Dollars as people write them: ``$0.20``, ``$0.0001234``; None is empty."""
    if value is None:
        return ""
    text = f"{Decimal(value):f}"
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, decimals = text.partition(".")
    return f"{sign}${int(whole):,}.{decimals.rstrip('0').ljust(2, '0')}"


def when(value: str | None) -> str:
    """A time of the API as people read it, in UTC and to the second; None is empty."""
    if value is None:
        return ""
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return clean(value)
    seconds = ":%S" if at.second else ""
    return at.strftime(f"%Y-%m-%d %H:%M{seconds} UTC")


def stamp(value: str | None) -> str:
    """The same without the zone, for columns whose heading names it."""
    return when(value).removesuffix(" UTC")


def listing(values: Sequence[str] | None, *, none: str, empty: str) -> str:
    """A list as a phrase: *none* where there is no restriction, *empty* where nothing is allowed."""
    if values is None:
        return none
    return ", ".join(values) if values else empty


def allowed(values: Sequence[str] | None) -> str:
    """An allow-list as a phrase."""
    return listing(values, none="no restriction from here", empty="none")


def _draw_table(
    headings: Sequence[str],
    cells: Sequence[Sequence[str]],
    right: frozenset[str],
    whole: frozenset[str],
    expendable: Sequence[str],
) -> None:
    # Only here: a pipe, `--json` and `--help` do without it.
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    columns = {name: [row[place] for row in cells] for place, name in enumerate(headings)}
    if cells:  # a column that is empty throughout takes room from the others
        columns = {name: column for name, column in columns.items() if any(column)}
    widths = {name: max(map(cell_len, (name, *column))) + _GAP for name, column in columns.items()}
    left_out = []
    for name in expendable:
        if sum(widths.values()) - _GAP <= console.width:
            break
        if columns.pop(name, None) is not None:
            del widths[name]
            left_out.append(name)
    least = (
        width if name in whole else min(width, _FOLDED_MIN + _GAP) for name, width in widths.items()
    )
    if sum(least) - _GAP > console.width:
        _print_records(columns)
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in columns:
            side: Literal["right", "left"] = "right" if name in right else "left"
            table.add_column(name, justify=side, overflow="fold", no_wrap=name in whole)
        for row in zip(*columns.values(), strict=True):
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
    if left_out:
        note(f"Left out, as there is no room: {', '.join(left_out)}. All of it: --json")


def _print_records(columns: Mapping[str, Sequence[str]]) -> None:
    """Row by row, a line for each cell, where no table fits; what is too long, the terminal breaks."""
    width = max(map(len, columns), default=0)
    for number, row in enumerate(zip(*columns.values(), strict=True)):
        if number:
            click.echo()
        for name, cell in zip(columns, row, strict=True):
            if cell:
                click.echo(f"{name:<{width}}  {cell}")


def _aligned(
    lines: Sequence[Sequence[str]], headings: Sequence[str], right: frozenset[str]
) -> list[str]:
    widths = [max(len(line[place]) for line in lines) for place in range(len(headings))]
    return [
        "  ".join(
            cell.rjust(width) if heading in right else cell.ljust(width)
            for cell, width, heading in zip(line, widths, headings, strict=True)
        ).rstrip()
        for line in lines
    ]


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) not in _UNSEEN and character not in _TURNING


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"


def as_list(data: Sequence[Any]) -> Json:
    """All rows of a list in the shape of a page of the API, so that scripts read both alike."""
    return {"data": list(data), "next_cursor": None}
