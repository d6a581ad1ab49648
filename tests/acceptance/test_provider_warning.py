"""The provider has warned us: the page for that day, done from its first command to its last."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_docs_commands import ROSTER, commands_of, run_line
from tests.support.http import post
from tests.support.processes import Mock, Server, start_server

PAGE = "how-to/provider-warning.md"
CHAT = "/v1/chat/completions"
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
TEN_MINUTES_S = 600


@dataclass(frozen=True)
class Class:
    server: Server
    folder: Path
    keys: dict[str, str]  # by external id
    members: dict[str, str]

    def say(self, external_id: str, text: str) -> int:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
        key = self.keys[external_id]
        return asyncio.run(post(self.server.url, CHAT, key, body)).status


@pytest.fixture
def course(mock: Mock, tmp_path: Path) -> Iterator[Class]:
    server = start_server(tmp_path, mock.url)
    try:
        (tmp_path / "roster.csv").write_bytes(ROSTER.encode("cp1252"))
        rule = "--rules-deny-words forbidden"
        run_line(server, f"tuckshop group create swa --each '$0.20/month' {rule}")
        run_line(server, "tuckshop member import roster.csv --group swa --issue-keys --out k.csv")
        with (tmp_path / "k.csv").open(encoding="utf-8-sig") as file:
            keys = {row["external_id"]: row["key"] for row in csv.DictReader(file)}
        people = server.made("GET", "/groups/swa/members")["data"]
        members = {one["external_id"]: one["id"] for one in people}
        yield Class(server, tmp_path, keys, members)
    finally:
        assert server.stop() == 0, server.log.read_text()


def rows(course: Class, name: str) -> list[dict[str, Any]]:
    with (course.folder / name).open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_a_warning_is_answered_in_far_less_than_ten_minutes(course: Class, mock: Mock) -> None:
    """K10, K16: from the identifier in the provider's mail to the member, the calls, the flags and the pause."""
    for number in range(3):
        assert course.say("4711", f"Something bad, {number}. [[tokens:5]]") == 200
    identifier = mock.requests()[-1]["body"]["safety_identifier"]
    assert course.say("4712", "Something good. [[tokens:5]]") == 200
    assert course.say("4711", "Something forbidden.") == 400

    began_s = time.monotonic()
    outputs = {}
    for line in commands_of(PAGE):
        # The days of the page, as those of this test.
        meant = line.replace(HASH, identifier).replace(" --until 2026-11-25", "")
        outputs[line] = run_line(course.server, meant.replace("2026-11-20", "2020-01-01"))
    took_s = time.monotonic() - began_s

    assert took_s < TEN_MINUTES_S / 10
    (whose,) = (text for line, text in outputs.items() if line.startswith("tuckshop who"))
    assert "swa/4711" in whose
    assert "Lovelace" in whose
    calls = rows(course, "requests.csv")
    assert [row["member"] for row in calls] == [course.members["4711"]] * 4
    assert [row["status"] for row in calls] == ["refused", "settled", "settled", "settled"]
    assert calls[0]["flags"] == "flagged"
    (found,) = rows(course, "flags.csv")
    assert (found["request"], found["member"]) == (calls[0]["id"], course.members["4711"])
    flagged = course.server.made("GET", "/requests?flagged=true")["data"]
    assert [row["id"] for row in flagged] == [calls[0]["id"]]
    assert any("req_" in row["upstream_request_id"] for row in rows(course, "calls.csv"))
    assert course.say("4711", "And again.") == 403
    assert course.say("4712", "Good morning. [[tokens:5]]") == 200
    trail = course.server.made("GET", "/audit?action=member")["data"]
    done = {(row["action"], row["object"]) for row in trail}
    assert done >= {
        ("member.identify", course.members["4711"]),
        ("member.pause", course.members["4711"]),
    }
    (asked,) = (row for row in trail if row["action"] == "member.identify")
    assert asked["after"] == {"reason": "the warning of 24 November"}


def test_the_letter_stands_there_in_both_languages() -> None:
    text = (Path(__file__).parents[2] / "docs" / PAGE).read_text(encoding="utf-8")

    assert "> Subject: Usage policy warning" in text
    assert "> Betreff: Ihre Verwarnung" in text
