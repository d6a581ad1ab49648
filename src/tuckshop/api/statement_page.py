"""A statement as a page to print: A4, no script, nothing fetched, every name as text (K13)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Final

from starlette.responses import Response

from tuckshop.api.problems import HEADERS
from tuckshop.domain.wording import counted, local_minute
from tuckshop.services.shapes.statements import Statement, StatementGrant

_STYLE: Final = """
@page { size: A4; margin: 18mm 16mm }
body { font: 8.5pt/1.4 system-ui, sans-serif; color: #111; max-width: 178mm; margin: 8mm auto }
h1 { font-size: 16pt; margin: 0 } h2 { font-size: 11.5pt; margin: 7mm 0 1mm; break-after: avoid }
p { margin: 1mm 0 } .warning { border-left: 2pt solid #b50; padding-left: 3mm }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
thead { display: table-header-group } tr { break-inside: avoid }
th, td { text-align: left; padding: 1mm 1.5mm; border-bottom: .4pt solid #bbb; vertical-align: top }
td { overflow-wrap: anywhere; min-width: 20mm } td.number { min-width: 0 }
th { border-bottom: 1pt solid #111; font-weight: 600 } .number { text-align: right } td.number { white-space: nowrap }
tfoot td { border-top: 1pt solid #111; border-bottom: 0; font-weight: 600 }
footer { margin-top: 8mm; color: #444; font-size: 8.5pt }
@media print { body { margin: 0; max-width: none } }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_FILE_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
)
_POLICY: Final = f"{_FILE_POLICY}; frame-ancestors 'none'"  # which a file cannot say
_COUNTS: Final = ("requests", "input", "cached", "output", "cost")


def page(statement: Statement) -> Response:
    """The answer that holds it."""
    return Response(
        rendered(statement),
        media_type="text/html; charset=utf-8",
        headers={
            **HEADERS,
            "content-security-policy": _POLICY,
            "referrer-policy": "no-referrer",
            "content-disposition": f'inline; filename="{statement.name}-{statement.month}.html"',
        },
    )


def rendered(statement: Statement) -> str:
    """The page. Opened from a file it is bound by the same policy."""
    title = statement.title or statement.name
    zone = statement.time_zone
    total = statement.total
    has_guesses = total.guessed_requests > 0
    heads = ("id", "name", *_COUNTS, *(["of it guessed"] if has_guesses else []))
    people = _table(
        heads,
        (
            [
                line.external_id or line.member,
                line.name or "",
                *_counts(line),
                *([_usd(line.guessed_usd)] if has_guesses else []),
            ]
            for line in statement.data
        ),
        [
            counted(len(statement.data), "member"),
            "",
            *_counts(total),
            *([_usd(total.guessed_usd)] if has_guesses else []),
        ],
        first_number=2,
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>Statement of {statement.month} · group {escape(statement.name)} · month by the calendar of"
        f" {escape(statement.time_zone)}</p>",
    ]
    if not statement.is_over:
        parts.append('<p class="warning">Not final: the month, or a call of it, still runs.</p>')
    if has_guesses:
        parts.append(
            f'<p class="warning">{counted(total.guessed_requests, "call")} charged without a usage to rely on'
            f" (estimated, or their bound): {_usd(total.guessed_usd)} of the sum.</p>"
        )
    parts += [
        "<h2>Members</h2>",
        people if statement.data else "<p>Nobody called.</p>",
        *_models(statement),
        *_grants(statement),
        *_corrections(statement),
        f"<footer>Made on {local_minute(statement.made_at, zone)}; calls from {local_minute(statement.since, zone)}"
        f" until before {local_minute(statement.until, zone)}, on the clocks of {escape(zone)}. Costs are in US"
        " dollars, as charged to the limits; corrections are in the sums of the month of the call. Input tokens"
        " include cached ones.</footer>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="content-security-policy" content="{_FILE_POLICY}">'
        f"<title>{escape(title)}, {statement.month}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _models(statement: Statement) -> Iterable[str]:
    if not statement.models:
        return
    yield "<h2>Models</h2>"
    yield _table(
        ("model", *_COUNTS),
        ([line.model, *_counts(line)] for line in statement.models),
        ["total", *_counts(statement.total)],
        first_number=1,
    )


def _grants(statement: Statement) -> Iterable[str]:
    if not statement.grants:
        return
    yield "<h2>Grants of this month</h2>"
    yield _table(
        ("at", "to", "until", "reason", "amount each"),
        (
            [at, _whom(grants), until, reason, _usd(grants[0].amount_usd)]
            for (at, until, reason, _), grants in _gathered(statement).items()
        ),
        (),
        first_number=4,
    )


def _gathered(
    statement: Statement,
) -> Mapping[tuple[str, str, str, Decimal], Sequence[StatementGrant]]:
    """The grants, those to many at once together: by minute, end and reason as people read them, and the amount."""
    found: dict[tuple[str, str, str, Decimal], list[StatementGrant]] = {}
    for grant in statement.grants:
        until = "" if grant.until is None else local_minute(grant.until, statement.time_zone)
        at = local_minute(grant.at, statement.time_zone)
        found.setdefault((at, until, grant.reason or "", grant.amount_usd), []).append(grant)
    return found


def _whom(grants: Sequence[StatementGrant]) -> str:
    if len(grants) > 1:
        return counted(len(grants), "member")
    (grant,) = grants
    return _person(grant.external_id or grant.member or "the group", grant.name)


def _person(external_id: str, name: str | None) -> str:
    return f"{external_id} {name}" if name else external_id


def _corrections(statement: Statement) -> Iterable[str]:
    if not statement.corrections:
        return
    yield "<h2>Corrections of calls of this month</h2>"
    yield _table(
        ("at", "member", "call", "reason", "added"),
        (
            [
                local_minute(one.at, statement.time_zone),
                _person(one.external_id or one.member, one.name),
                one.request,
                one.reason or "",
                _usd(one.cost_usd),
            ]
            for one in statement.corrections
        ),
        (),
        first_number=4,
    )


def _table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    foot: Sequence[str],
    *,
    first_number: int,
) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        marks = (' class="number"' if at >= first_number else "" for at in range(len(cells)))
        inner = "".join(
            f"<{tag}{mark}>{escape(cell)}</{tag}>" for mark, cell in zip(marks, cells, strict=True)
        )
        return f"<tr>{inner}</tr>"

    body = "".join(line("td", row) for row in rows)
    sums = f"<tfoot>{line('td', foot)}</tfoot>" if foot else ""
    return f"<table><thead>{line('th', heads)}</thead><tbody>{body}</tbody>{sums}</table>"


def _counts(line: object) -> list[str]:
    counts = [
        f"{getattr(line, name):,}"
        for name in ("requests", "input_tokens", "cached_tokens", "output_tokens")
    ]
    return [*counts, _usd(getattr(line, "cost_usd"))]  # noqa: B009 - as its neighbours


def _usd(amount: Decimal) -> str:
    """Exact, with two decimals at least."""
    text = f"{amount:f}"
    whole, _, decimals = text.partition(".")
    return f"${int(whole):,}.{decimals.ljust(2, '0')}" if amount >= 0 else f"-{_usd(-amount)}"
