"""Keys and links on their way out: files, slips, and what happens where something is wrong."""

from __future__ import annotations

import csv
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import chromium, faults_of
from tests.support.processes import ADMIN_TOKEN, call, start_server
from tests.support.shell import Shell

PUBLIC_URL = "https://tuckshop.example.org"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    server = start_server(tmp_path_factory.mktemp("server"), None, TUCKSHOP_PUBLIC_URL=PUBLIC_URL)
    yield Shell(server)
    assert server.stop() == 0


def new_group(shell: Shell, name: str, members: int = 2) -> None:
    shell.run("group", "create", name, "--each", "$0.20/month")
    shell.run("member", "create", *(str(n) for n in range(members)), "--group", name)


def rows_of(path: Path) -> list[dict[str, str]]:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_group_gets_keys_once_and_anew_when_asked(shell: Shell, tmp_path: Path) -> None:
    """K1, M14: and a file that is there is not written over, nor left where nothing came of it."""
    new_group(shell, "swa")
    keys, slips, more = (tmp_path / name for name in ("keys.csv", "slips.html", "more.csv"))
    hand_out = ("key", "hand-out", "--group", "swa")

    told = shell.run(*hand_out, "--out", str(keys), "--slips", str(slips))
    assert "2 keys are in" in told.stdout
    first = rows_of(keys)
    assert [row["base_url"] for row in first] == [f"{PUBLIC_URL}/v1"] * 2
    assert stat.S_IMODE(slips.stat().st_mode) == 0o600
    for row in first:
        assert row["key"] in slips.read_text()
        assert opens(shell, row["key"])

    assert "is without a key" in shell.run(*hand_out, "--out", str(more)).stderr
    assert not more.exists()
    assert "is there already" in shell.run(*hand_out, "--out", str(keys), status=1).stderr

    told = shell.run(*hand_out, "--reissue", "--member", "0", "--out", str(more))
    assert "the old one opens no more" in told.stderr
    [anew] = rows_of(more)
    for row in first:
        assert opens(shell, row["key"]) == (row["external_id"] != "0")
    assert opens(shell, anew["key"])


def test_a_roster_gives_new_secrets_to_those_in_it_when_asked(shell: Shell, tmp_path: Path) -> None:
    """M14."""
    new_group(shell, "import")
    roster, first, second = (tmp_path / name for name in ("roster.csv", "1.csv", "2.csv"))
    roster.write_text("external_id\n0\n1\n")
    take = ("member", "import", str(roster), "--group", "import")

    shell.run(*take, "--issue-keys", "--out", str(first))
    shell.run(*take, "--issue-keys", "--reissue", "--overlap", "1h", "--out", str(second))
    refused = shell.run(*take, "--reissue", status=2)

    keys = [row["key"] for path in (first, second) for row in rows_of(path)]
    assert len(set(keys)) == 4
    assert all(opens(shell, key) for key in keys)
    assert "--issue-keys" in refused.stderr


def test_links_are_handed_out_from_another_machine_too(shell: Shell, tmp_path: Path) -> None:
    """By address and token alone, as where the server runs elsewhere."""
    new_group(shell, "far")
    links = tmp_path / "links.csv"
    elsewhere = {
        "TUCKSHOP_DATA": str(tmp_path / "nothing"),
        "TUCKSHOP_URL": shell.server.url,
        "TUCKSHOP_ADMIN_TOKEN": ADMIN_TOKEN,
    }

    shell.run(
        *("key", "hand-out", "--group", "far", "--links", "--out", str(links)),
        environment=elsewhere,
    )
    one = shell.run("key", "link", "--member", "far/0").stdout

    assert len(rows_of(links)) == 2
    assert all(row["url"].startswith(f"{PUBLIC_URL}/claim/#") for row in rows_of(links))
    assert one.startswith(f"{PUBLIC_URL}/claim/#")


def test_slips_fit_a_page_and_load_nothing(shell: Shell, tmp_path: Path) -> None:
    """K13: five of them to a sheet, in a browser that says nothing against them."""
    new_group(shell, "paper", 10)
    slips = tmp_path / "slips.html"
    shell.run("key", "hand-out", "--group", "paper", "--slips", str(slips))

    with chromium() as browser:
        page = browser.new_page(viewport={"width": 794, "height": 1123}, color_scheme="dark")
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(slips.as_uri())
        faults = faults_of(page)
        sheets = page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n")

    assert faults == []
    assert complaints == []
    assert sheets == 2


def test_without_a_public_address_no_link_is_made_and_no_file_left(tmp_path: Path) -> None:
    server = start_server(tmp_path, None)
    shell, links = Shell(server), tmp_path / "links.csv"
    try:
        new_group(shell, "swa")
        refused = shell.run(
            *("key", "hand-out", "--group", "swa", "--links", "--out", str(links)), status=1
        )
        shell.run("key", "hand-out", "--group", "swa", "--links", "--reissue", status=2)
    finally:
        assert server.stop() == 0

    assert "TUCKSHOP_PUBLIC_URL" in refused.stderr
    assert not links.exists()


def opens(shell: Shell, key: str) -> bool:
    return call("GET", f"{shell.server.url}/api/v1/me", token=key)[0] == 200
