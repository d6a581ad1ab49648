"""Lists as files: the rows of the JSON, as CSV and as a JSON object per line."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.api.conftest import Counter
from tests.integration.api.test_log_and_usage import bucket, put, row
from tests.support.asgi_client import Answer
from tuckshop.storage.schema import requests, usage_buckets

pytestmark = pytest.mark.anyio
LISTS = ["requests", "usage?by=group,model", "audit"]


async def spend(counter: Counter, calls: int) -> None:
    tags = (None, "=1+1", "hw-3")
    rows = [row(number, tag=tags[number % 3], flags="clamped estimated") for number in range(calls)]
    await put(counter, requests, rows)
    await put(counter, usage_buckets, [bucket(1), bucket(2, model="gpt-4o", cost=1)])
    await counter.chain()


async def get(counter: Counter, path: str, accept: str) -> Answer:
    path, _, query = path.partition("?")
    return await counter.admin.send(
        "GET", f"/api/v1/{path}", query=query, headers={"accept": accept}
    )


def as_cell(value: Any) -> str:
    if value is None:
        return ""
    if value == "=1+1":
        return "'=1+1"
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"), default=float)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


@pytest.mark.parametrize("path", LISTS)
async def test_a_file_has_the_rows_of_the_json(counter: Counter, path: str) -> None:
    await spend(counter, 3)
    rows = (await get(counter, path, "application/json")).json["data"]

    as_csv = await get(counter, path, "text/csv")
    as_lines = await get(counter, path, "application/x-ndjson")

    name = path.partition("?")[0]
    assert as_csv.status == as_lines.status == 200
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert as_csv.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    assert as_lines.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line, parse_float=Decimal) for line in as_lines.body.splitlines()] == rows
    read = list(csv.DictReader(io.StringIO(as_csv.body.decode(), newline="")))
    assert len(rows) > 0
    assert [{name: as_cell(value) for name, value in row.items()} for row in rows] == read


async def test_a_file_has_all_rows_unless_told(counter: Counter) -> None:
    await spend(counter, 1_130)

    every = await get(counter, "requests", "text/csv")
    some = await get(counter, "requests?limit=7", "text/csv")

    assert (every.body.count(b"\r\n"), some.body.count(b"\r\n")) == (1_131, 8)


async def test_an_empty_list_is_its_heading(counter: Counter) -> None:
    answer = await get(counter, "requests", "text/csv")

    assert answer.body.startswith(b"id,at,member,key,group,endpoint,model,status,")
    assert answer.body.count(b"\r\n") == 1
    assert (await get(counter, "requests", "application/x-ndjson")).body == b""


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8"),
        ("TEXT/CSV; header=present", "text/csv; charset=utf-8"),
        ("text/csv;q=nonsense", "application/json"),
    ],
)
async def test_the_client_says_what_it_likes_best(
    counter: Counter, accept: str, type_: str
) -> None:
    assert (await get(counter, "requests", accept)).headers["content-type"] == type_


@pytest.mark.parametrize("path", ["requests?since=yesterday", "requests?group=nosuch"])
async def test_a_refusal_keeps_its_status(counter: Counter, path: str) -> None:
    answer = await get(counter, path, "text/csv")

    assert answer.status in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
