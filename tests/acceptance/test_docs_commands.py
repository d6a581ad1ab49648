"""
The commands of the tutorial and of the how-tos, run in the order in which a reader types them.

Each page has a server and a folder of its own, as its reader has. `tests/docs/test_examples.py` holds the other pages:
that each line is one that the command takes.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.flagged import flag
from tests.support.processes import (
    COMMAND,
    Mock,
    Server,
    call,
    clean_environment,
    start_mock,
    start_server,
)

pytestmark = pytest.mark.long

DOCS: Final = Path(__file__).parents[2] / "docs"
ROSTER: Final = (
    "Vorname;Nachname;Matrikelnummer;E-Mail-Adresse\r\n"
    "Ada;Lovelace;4711;ada@example.org\r\n"
    "Zoë;Müßig;4712;zoe@example.org\r\n"
    "Alan;Turing;4713;alan@example.org\r\n"
)
_BLOCK: Final = re.compile(r"^ *```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_COMMAND: Final = re.compile(r"(?:^|[|;(&] *|\w=\S+ +)tuckshop +")


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and what its reader has done before."""

    path: str
    given: tuple[str, ...] = ()  # commands
    files: Mapping[str, str] = field(default_factory=dict)  # beside roster.csv
    # What stands for the reader's own things on the page → what it is here: text, or a question to the server.
    stands_for: Mapping[str, str | Callable[[Server], str]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    typed: str | None = None  # the file that stands for what is typed or pasted at a prompt
    called: bool = False  # each student has called once


CLASS: Final = (
    "tuckshop group create swa --each '$0.20/month'",
    "tuckshop member import roster.csv --group swa",
)
WITH_KEYS: Final = (CLASS[0], f"{CLASS[1]} --issue-keys --out first-keys.csv")
# A page names a day to come; the test is still run when that has gone.
LATER: Final = {
    day: f"2099{day[4:]}" for day in ("2026-12-31", "2027-03-31", "2027-09-30", "2027-01-01T")
}


def _some_key(server: Server) -> str:
    return str(server.made("GET", "/keys?state=active")["data"][0]["id"])


def _some_flag(server: Server) -> str:
    found = server.made("GET", "/moderation/flags")["data"]
    if found:
        return str(found[0]["id"])
    member = server.made("GET", "/members")["data"][0]["id"]
    return flag(server, member)


def _some_kept_call(server: Server) -> str:
    """A call whose bodies are kept, whatever the page had asked for."""
    server.made(
        "PATCH", "/groups/swa", {"logging": {"bodies": "all", "purpose": "appeals", "days": 30}}
    )
    _call_with_every_key(server, server.data.parent)
    return str(server.made("GET", "/requests?status=settled")["data"][0]["id"])


def _some_hold(server: Server) -> str:
    return str(server.made("GET", "/holds")["data"][0]["id"])


def _some_pseudonym(server: Server) -> str:
    return str(server.made("GET", "/groups/swa/members")["data"][0]["external_id"])


def _some_webhook(server: Server) -> str:
    return str(server.made("GET", "/webhooks")["data"][0]["id"])


def _this_month(server: Server) -> str:
    return f"{datetime.now(UTC):%Y-%m}"


def _block(path: str, language: str) -> str:
    """The first block in *language* of a page."""
    text = (DOCS / path).read_text(encoding="utf-8")
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


PAGES: Final = (
    Page("tutorial/first-class.md", called=True),
    Page(
        "how-to/asked-what-you-know.md",
        given=WITH_KEYS,
        called=True,
        # What is asked at a terminal.
        stands_for={"erase member swa/4711": "erase member swa/4711 --yes-erase 4711"},
    ),
    Page(
        "how-to/end-of-term.md",
        given=WITH_KEYS,
        called=True,
        stands_for={"erase group swa": "erase group swa --yes-erase swa"},
    ),
    Page(
        "how-to/course-file.md",
        files={
            "course.toml": _block("how-to/course-file.md", "toml"),
            "roster.csv": _block("how-to/course-file.md", "csv"),
        },
    ),
    Page("how-to/extra-money.md", given=CLASS, stands_for=LATER),
    Page(
        "how-to/flags.md",
        given=WITH_KEYS,
        settings={"TUCKSHOP_PUBLIC_URL": "https://tuckshop.example.org"},
        stands_for={"flg_06fQ3": _some_flag},
    ),
    Page(
        "how-to/hand-out-keys.md",
        given=CLASS,
        settings={"TUCKSHOP_PUBLIC_URL": "https://tuckshop.example.org"},
    ),
    Page(
        "how-to/keep-prompts.md",
        given=WITH_KEYS,
        called=True,
        stands_for={"req_06fQ3": _some_kept_call, "hld_06fQ3": _some_hold},
    ),
    Page("how-to/moderation.md", given=WITH_KEYS),
    Page(
        "how-to/leaked-key.md",
        given=(
            *(line.replace("swa", "swa-2026") for line in WITH_KEYS),
            "tuckshop key create --member swa-2026/4711 --tags ci",
            "cp first-keys.csv notebook.ipynb",
        ),
        typed="first-keys.csv",
        stands_for={"key_06fQ3": _some_key},
    ),
    Page(
        "how-to/prices.md",
        files={
            "credential": "any-text-will-do",
            "prices.json": resources.files("tuckshop.pricing").joinpath("prices.json").read_text(),
        },
        typed="credential",
        stands_for=LATER,
    ),
    Page(
        "how-to/reports.md",
        given=WITH_KEYS,
        called=True,
        stands_for={"2026-11": _this_month},
    ),
    Page(
        "how-to/notices.md",
        given=CLASS,
        stands_for={
            # Nobody receives at the page's address; integration/api/test_webhooks has somebody who does.
            "webhook test hok_06f7q2v6": "webhook list",
            "hok_06f7q2v6": _some_webhook,
        },
    ),
    Page("how-to/pseudonyms.md", given=CLASS, stands_for={"gentle-otter-4k7m2": _some_pseudonym}),
    Page("how-to/privacy-papers.md", given=CLASS),
    Page("how-to/roster.md", given=CLASS[:1]),
    Page(
        "how-to/rules.md",
        given=("tuckshop group create swa", "tuckshop group create lab"),
        files={"prompt.txt": "You are a patient tutor.\n", "words.txt": "sample solution\n"},
    ),
    Page(
        "how-to/staff.md",
        given=CLASS,
        files={"late.csv": "external_id\n4714\n"},
        stands_for={"group create swa": "group edit swa", **LATER},
    ),
)
# Pages whose commands need what a test cannot have, or are run elsewhere.
ELSEWHERE: Final = {
    "how-to/clock.md": "test_operations: a clock that was wrong",
    "how-to/from-bricksllm.md": "test_take_over, which has an export",
    "how-to/from-litellm.md": "test_take_over, which has an export",
    "how-to/leaked-provider-key.md": "test_upstreams: the whole drill",
    "how-to/mail.md": "test_mail, which has a mail server: the CLI's commands over it",
    "how-to/provider-warning.md": "test_provider_warning: the whole drill",
    "how-to/back-up-and-restore.md": "test_restore_drill: its own lines",
    "how-to/upgrade.md": "test_operations: backup and restore",
}


def commands_of(path: str) -> list[str]:
    """The lines of a page's shell blocks that run tuckshop."""
    text = (DOCS / path).read_text(encoding="utf-8")
    lines: list[str] = []
    for block in _BLOCK.findall(text):
        lines += [line.strip() for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if _COMMAND.search(line)]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    mock = start_mock(tmp_path_factory.mktemp("provider"))
    yield mock
    mock.stop()


def test_every_page_with_commands_is_run_here_or_elsewhere() -> None:
    pages = {
        str(page.relative_to(DOCS))
        for page in (*DOCS.glob("how-to/*.md"), *DOCS.glob("tutorial/*.md"))
    }
    with_commands = {page for page in pages if commands_of(page)}

    assert with_commands == {page.path for page in PAGES} | set(ELSEWHERE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_the_commands_of_a_page_do_what_it_says(page: Page, provider: Mock, tmp_path: Path) -> None:
    server = start_server(tmp_path, provider.url, **page.settings)
    try:
        (tmp_path / "roster.csv").write_bytes(ROSTER.encode("cp1252"))
        for name, content in page.files.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        for line in page.given:
            run_line(server, line)
        if page.called:
            _call_with_every_key(server, tmp_path)
        for line in commands_of(page.path):
            run_line(server, _filled(line, page, server), page.typed)
            if page.called and "--out keys.csv" in line:
                _call_with_every_key(server, tmp_path)
    finally:
        assert server.stop() == 0, server.log.read_text()


def _filled(line: str, page: Page, server: Server) -> str:
    for text, meant in page.stands_for.items():
        if text in line:
            line = line.replace(text, meant if isinstance(meant, str) else meant(server))
    if "key_…" in line:
        line = line.replace("key_…", _some_key(server))
    assert "…" not in line, f"{page.path}: what stands for the reader's own in: {line}"
    return line


def run_line(server: Server, line: str, typed: str | None = None) -> str:
    """What a line prints that its reader types."""
    environment = clean_environment() | {
        "TUCKSHOP_DATA": str(server.data),
        "PATH": f"{COMMAND.parent}:/usr/bin:/bin",
    }
    folder = server.data.parent
    done = subprocess.run(
        ["bash", "-c", line],
        env=environment,
        cwd=folder,
        input=(folder / typed).read_text(encoding="utf-8-sig") if typed else "",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{line}\n{done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def _call_with_every_key(server: Server, folder: Path) -> None:
    """Be every student once, so that there is something to see."""
    for file in (*folder.glob("*.csv"), *folder.glob("*.txt")):
        for key in re.findall(
            r"sk-tuck-[0-9A-Za-z]{40}", file.read_text(encoding="utf-8-sig", errors="replace")
        ):
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello."}]}
            status, answer = call("POST", f"{server.url}/v1/chat/completions", body, token=key)
            assert status == 200, json.dumps(answer)
