"""Lists as files: the same rows as CSV or as a JSON object per line, streamed, so that their number does not matter."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec
from starlette.responses import Response, StreamingResponse

from tuckshop.api.problems import HEADERS
from tuckshop.api.routing import CSV_TYPE
from tuckshop.domain.csv_cell import guarded

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def wanted(accept: str, among: Sequence[str]) -> str | None:
    """Which of these types a client likes best; None: JSON."""
    best, best_quality = None, 0.0
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if quality > best_quality:
            best, best_quality = name, quality
    return best if best in among else None


async def in_one(rows: Sequence[msgspec.Struct]) -> AsyncIterator[Sequence[msgspec.Struct]]:
    """Rows that are there already, in the shape of those that come some at a time."""
    yield rows


async def table(
    name: str,
    columns: Sequence[str],
    rows: AsyncIterator[Sequence[msgspec.Struct]],
    media_type: str,
) -> Response:
    """
    *rows* as a download called *name*. It begins once there are first rows, so a refusal keeps its own status.

    Args:
        media_type: One of `TABLE_TYPES`.
    Raises:
        Whatever reading the first rows raises.
    """
    # With a tuple as default, CPython 3.11 raises SystemError where there are no rows.
    first = await anext(rows, None) or ()
    if media_type == CSV_TYPE:
        pieces = _csv(columns, first, rows)
        suffix, media_type = "csv", f"{CSV_TYPE}; charset=utf-8"
    else:
        pieces, suffix = _ndjson(first, rows), "ndjson"
    return StreamingResponse(
        pieces,
        media_type=media_type,
        headers={
            **HEADERS,
            "content-disposition": f'attachment; filename="{name}.{suffix}"',
        },
    )


async def _csv(
    columns: Sequence[str],
    first: Sequence[msgspec.Struct],
    rows: AsyncIterator[Sequence[msgspec.Struct]],
) -> AsyncIterator[bytes]:
    yield _lines([columns])
    yield _lines([_cell(getattr(row, name)) for name in columns] for row in first)
    async for some in rows:
        yield _lines([_cell(getattr(row, name)) for name in columns] for row in some)


async def _ndjson(
    first: Sequence[msgspec.Struct],
    rows: AsyncIterator[Sequence[msgspec.Struct]],
) -> AsyncIterator[bytes]:
    yield _ENCODER.encode_lines(first)
    async for some in rows:
        yield _ENCODER.encode_lines(some)


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None or value is msgspec.UNSET:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list):
        return guarded(" ".join(map(str, value)))
    if isinstance(value, dict):
        return guarded(_ENCODER.encode(value).decode())
    return guarded(str(value))
