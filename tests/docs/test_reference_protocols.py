"""The reference pages of endpoints and errors say what the code does, row by row."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.protocols.openai.states import NOW_US, state
from tuckshop.domain.errors import RefusalError
from tuckshop.protocols.openai.headers import answer_headers, limit_headers
from tuckshop.protocols.openai.table import CLOSED, CLOSED_OPERATIONS, ENDPOINTS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
ENDPOINTS_PAGE = (REFERENCE / "endpoints.md").read_text(encoding="utf-8")
ERRORS_PAGE = (REFERENCE / "errors.md").read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    return page.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_endpoint_has_its_row() -> None:
    expected = [
        [
            f"`{row.method} /v1{row.path}`",
            row.name,
            row.group,
            "yes" if row.streams else "no",
            f"`{row.identity_field}`" if row.identity_field else "–",  # noqa: RUF001 - as the page prints it
            f"{row.body_max_bytes >> 20} MiB" if row.body_max_bytes else "–",  # noqa: RUF001
        ]
        for row in ENDPOINTS
    ]

    assert rows(section(ENDPOINTS_PAGE, "Served")) == expected


def test_every_known_parameter_is_listed() -> None:
    text = section(ENDPOINTS_PAGE, "Parameters")

    for row in ENDPOINTS:
        if row.parameters:
            listed = text.partition(f"- **{row.name}**:")[2].partition("\n- ")[0]
            assert set(re.findall(r"`([a-z_]+)`", listed)) == row.parameters


def test_every_closed_path_has_its_reason() -> None:
    expected = [[f"`{method} /v1{path}`", reason] for method, path, reason in CLOSED_OPERATIONS]
    expected += [[f"`/v1{prefix}` and below", reason] for prefix, reason in CLOSED]

    assert rows(section(ENDPOINTS_PAGE, "Not served")) == expected


def test_every_refusal_has_its_row_and_every_row_its_refusal() -> None:
    stated = re.findall(r"^\| (\d{3}) \| `([a-z_]+)` \|", ERRORS_PAGE, re.MULTILINE)
    classes = RefusalError.__subclasses__()

    assert sorted(stated) == sorted((str(row.status), row.code) for row in classes)


def test_the_code_is_the_name_of_the_class_in_other_letters() -> None:
    for row in RefusalError.__subclasses__():
        words = re.findall(r"[A-Z][a-z]*", row.__name__.removesuffix("Error"))
        name = "_".join(words).lower()
        assert name.removesuffix("_refusal") == row.code


def test_every_header_that_a_reply_can_carry_is_explained() -> None:
    states = [state("5 rpm"), state("5 tokens/minute"), state("$1/day")]
    headers = answer_headers(
        request_id="req_1",
        content_type=b"application/json",
        is_stream=False,
        standing=limit_headers(states, NOW_US),
        upstream_request_id="x",
        cost_usd="0",
        output_cap=b"5",
    )

    for name, _ in headers:
        if name.startswith((b"x-ratelimit", b"x-tuckshop")):
            assert f"`{name.decode()}`" in ERRORS_PAGE
