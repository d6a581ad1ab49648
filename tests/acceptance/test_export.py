"""Telling a person everything, from outside: `tuckshop export member` against a running server (P4, P6, K16)."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import client_of
from tests.support.flagged import flag
from tests.support.processes import Mock, start_server
from tests.support.shell import Shell

WHY = ("--reason", "asked for by letter")
CANARY = "Marzipankartoffel"
LOGGING = {"bodies": "all", "purpose": "exam supervision", "readers": ["owner"]}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as rows:
        return list(csv.DictReader(rows))


def test_a_person_gets_all_that_is_known_of_them_and_nothing_of_others(
    tmp_path: Path, mock: Mock
) -> None:
    """P4, P6, P11, K16: two groups, calls to the nano-dollar, prompts, a flag, and who read it."""
    server = start_server(tmp_path, mock.url)
    try:
        shell = Shell(server)
        keys: dict[tuple[str, str], Any] = {}
        for group, logging in (("swa", LOGGING), ("lab", None)):
            server.made("POST", "/groups", {"name": group, "logging": logging})
            people = [{"external_id": "ada-0815", "name": "Ada"}, {"external_id": "otto-0816"}]
            rows = server.made("POST", f"/groups/{group}/members?issue_keys=true", people)["data"]
            keys |= {(group, row["external_id"]): row for row in rows}
        for (group, person), row in keys.items():
            client_of(server, row["key"]).chat.completions.create(
                model="gpt-4o-mini",
                messages=[{"role": "user", "content": f"{CANARY} of {person} in {group}"}],
            )
        flag(server, keys["swa", "ada-0815"]["id"])
        token = server.made("POST", "/tokens", {"name": "o", "role": "owner", "groups": ["swa"]})
        by_owner = {"TUCKSHOP_URL": server.url, "TUCKSHOP_ADMIN_TOKEN": token["token"]}
        calls = f"/requests?status=settled&member={keys['swa', 'ada-0815']['id']}"
        (made,) = server.made("GET", calls)["data"]
        read = ("log", "body", made["id"], "--reason", "appeal of 12 May")
        shell.run(*read, environment=by_owner)

        told = shell.run("export", "member", "swa/ada-0815", *WHY, "--out", "ada")

        folder = tmp_path / "ada"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert all(
            path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)
            for path in folder.rglob("*")
        )
        assert "lab" in told.stdout
        (call,) = (row for row in table(folder / "swa/calls.csv") if row["status"] == "settled")
        assert call["id"] == made["id"]
        assert Decimal(call["cost_usd"]) == Decimal(str(made["cost_usd"]))
        assert len(table(folder / "lab/calls.csv")) == 1
        said = json.loads((folder / f"swa/conversations/{made['id']}.json").read_text())
        assert said["request"]["messages"][0]["content"] == f"{CANARY} of ada-0815 in swa"
        assert said["reply"]["choices"]
        assert not (folder / "lab/conversations").exists()
        assert len(json.loads((folder / "swa/flags.json").read_text())) == 1
        reads = table(folder / "swa/read-by.csv")
        assert [row["action"] for row in reads] == ["body.read", "member.identity", "member.export"]
        assert reads[0]["actor"].startswith("token:")
        assert "appeal of 12 May" in reads[0]["after"]
        everything = "".join(path.read_text() for path in folder.rglob("*.*") if path.is_file())
        assert "otto-0816" not in everything
        assert not any(row["key"] in everything for row in keys.values())
        assert "exam supervision" in (folder / "README.txt").read_text()

        refused = shell.run("export", "member", "swa/ada-0815", *WHY, "--out", "ada", status=1)
        assert "is there already" in refused.stderr
        shell.run("export", "member", "swa/ada-0815", *WHY, "--out", "part", environment=by_owner)
        assert {path.name for path in (tmp_path / "part").iterdir()} == {"README.txt", "swa"}
        shell.run("audit", "verify")
        rows = shell.json("audit", "--reads")["data"]
        assert {row["action"] for row in rows} == {
            *("body.read", "body.export", "member.export", "member.identity")
        }
        assert CANARY not in server.log.read_text()
        assert WHY[1] not in server.log.read_text()
    finally:
        assert server.stop() == 0, server.log.read_text()


def test_who_is_hidden_is_found_by_their_own_id_to_be_told_and_to_be_erased(
    tmp_path: Path, mock: Mock
) -> None:
    """P4, P11, K16: a reason opens who it is in all groups, and the trail keeps it."""
    server = start_server(tmp_path, mock.url)
    try:
        shell = Shell(server)
        for group in ("swa", "lab"):
            server.made("POST", "/groups", {"name": group, "pseudonyms": group == "lab"})
            person = {"external_id": "ada-0815", "name": "Ada Lovelace"}
            server.made("POST", f"/groups/{group}/members", person)
        shown = server.made("GET", "/groups/lab/members")["data"][0]["external_id"]
        assert shown != "ada-0815"

        shell.run("export", "member", f"lab/{shown}", *WHY, "--out", "ada")

        for group in ("swa", "lab"):
            profile = json.loads((tmp_path / f"ada/{group}/profile.json").read_text())
            assert profile["member"]["name"] == "Ada Lovelace"
        read = table(tmp_path / "ada/lab/read-by.csv")
        assert [row["action"] for row in read] == ["member.identity", "member.export"]
        assert "asked for by letter" in read[0]["after"]
        told = shell.json("erase", "member", "--external-id", "ada-0815", *WHY, "--dry-run")
        assert len(told["data"]) == 2
        shell.run(
            *("erase", "member", f"lab/{shown}", *WHY, "--yes-erase", shown),
        )
        for group in ("swa", "lab"):
            page = server.made("GET", f"/groups/{group}/members?state=all")
            assert "Ada" not in str(page)
    finally:
        assert server.stop() == 0, server.log.read_text()
