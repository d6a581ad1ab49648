"""`tuckshop export`: a folder for one person: private, whole, never over another, nothing that a program obeys."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_server import FakeServer
from tuckshop.cli.export import TABLES
from tuckshop.cli.export_words import WORDS, Words

REASON = ("--reason", "asked for by letter")
NDJSON = {"content-type": "application/x-ndjson"}
MEMBER: dict[str, Any] = {
    "pseudonymous": False,
    "id": "mem_1",
    "external_id": "4711",
    "name": "Ada \u202e",
    "email": None,
}
EVIL = '=HYPERLINK("http://evil.example")'


def exported(**fields: Any) -> dict[str, Any]:
    """One group's part of an export."""
    return {
        "member": MEMBER,
        "created_at": "2026-10-01T08:00:00Z",
        "erased_at": None,
        "group": {
            "id": "grp_1",
            "name": "swa",
            "title": "Software architecture",
            "time_zone": "Europe/Berlin",
            "log_days": 400,
            "logging": {
                "bodies": "all",
                "days": 30,
                "purpose": "exam supervision",
                "readers": ["owner", "assistant"],
            },
        },
        "keys": [{"id": "key_1", "last4": "9xYz", "name": EVIL, "state": "active", "tags": []}],
        "calls": 0,
        "bodies": {"kept": 2, "readable": True, "why_not": None},
        "reads": [],
        **{name: [] for name in ("links", "usage", "entries", "flags", "appeals", "mails")},
        **{name: [] for name in ("notices", "holds", "trail")},
        **fields,
    }


def lines(*ids: str) -> bytes:
    rows = ({"id": id_, "request": {"n": "ev\u001b[2Jil"}, "reply": "x"} for id_ in ids)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


WHO: dict[str, Any] = {"member": "mem_1", "external_id": "4711", "name": "Ada", "email": None}


def answers(
    server: FakeServer, *parts: dict[str, Any], kept: bytes = b"", others: tuple[str, ...] = ()
) -> None:
    server.will_answer({**WHO, "others": [{"member": id_} for id_ in others]})
    server.will_answer({"at": "2026-11-25T10:00:00Z", "data": list(parts)})
    if kept:
        server.will_answer(kept, 200, **NDJSON)


def files(folder: Path) -> dict[str, int]:
    """Everything in it, with its mode."""
    return {
        str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in folder.rglob("*")
    }


def test_everything_is_written_for_its_owner_alone(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    """P4: the reason goes in the body, never in the address (P11)."""
    answers(server, exported(), kept=lines("req_1", "req_2"))

    result = run("export", "member", "mem_1", *REASON, environment=server.environment())

    assert result.exit_code == 0, result.stderr
    folder = tmp_path / "export-mem_1"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert files(folder) == {
        "README.txt": 0o600,
        "swa": 0o700,
        "swa/profile.json": 0o600,
        "swa/keys.csv": 0o600,
        "swa/conversations": 0o700,
        "swa/conversations/req_1.json": 0o600,
        "swa/conversations/req_2.json": 0o600,
    }
    assert [(one.method, one.target, one.body) for one in server.asked] == [
        ("POST", "/api/v1/members/mem_1/identity", {"reason": "asked for by letter"}),
        ("GET", "/api/v1/export/members/mem_1", None),
        ("POST", "/api/v1/export/members/mem_1/bodies", {"reason": "asked for by letter"}),
    ]
    assert "2 of them with prompt and answer" in result.stdout
    assert "Then delete it" in result.stderr


def test_nothing_in_it_is_obeyed_by_a_spreadsheet_or_a_terminal(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    """K13, P6: and of a key there are the last four characters."""
    answers(server, exported(), kept=lines("req_1", "req_2"))

    run("export", "member", "mem_1", *REASON, environment=server.environment())

    folder = tmp_path / "export-mem_1/swa"
    (_, row) = (folder / "keys.csv").read_text().splitlines()
    assert row.startswith("key_1,sk-tuck-…9xYz,")
    assert f'"\'{EVIL.replace(chr(34), chr(34) * 2)}"' in row
    for path in (tmp_path / "export-mem_1").rglob("*.*"):
        assert "\u202e" not in path.read_text()
        assert "\u001b" not in path.read_text()
    said = json.loads((folder / "conversations/req_1.json").read_text())
    assert said["request"] == {"n": "ev\u001b[2Jil"}


def test_the_page_says_in_plain_words_what_is_kept_and_who_reads_it(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    reads = [{"at": "2026-11-20T10:00:00Z", "actor": "token:tok_1", "action": "body.read"}]
    answers(server, exported(reads=reads), kept=lines("req_1"))

    run("export", "member", "mem_1", *REASON, environment=server.environment())

    text = (tmp_path / "export-mem_1/README.txt").read_text()
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    assert "Software architecture (folder swa)" in flat
    assert "Purpose: exam supervision. For 30 days." in flat
    assert "staff of the role owner or assistant, and by the operator" in flat
    assert "read-by.csv who opened what you wrote" in flat
    assert "Prompts and answers of 1 calls were kept and cannot be opened any more" in flat
    assert "appeals.json" not in text


def test_the_page_is_to_be_had_in_german(run: Run, server: FakeServer, tmp_path: Path) -> None:
    answers(server, exported(), kept=lines("req_1", "req_2"))

    result = run(
        *("export", "member", "mem_1", *REASON, "--lang", "de"), environment=server.environment()
    )

    assert result.exit_code == 0, result.stderr
    text = (tmp_path / "export-mem_1/LIESMICH.txt").read_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "Betreuende mit der Rolle owner oder assistant" in " ".join(text.split())
    assert not (tmp_path / "export-mem_1/README.txt").exists()


def test_both_languages_say_the_same() -> None:
    """Each text is there, and has the same gaps to be filled."""
    for field in fields(Words):
        english, german = (getattr(WORDS[lang], field.name) for lang in ("en", "de"))
        if isinstance(english, str):
            english, german = {"": english}, {"": german}
        assert english.keys() == german.keys()
        for name, text in english.items():
            assert gaps(text) == gaps(german[name]), (field.name, name)
            assert text == text.strip() or field.name == "either"
    written = {*TABLES, "profile.json", "calls.csv", "conversations", "flags.json", "appeals.json"}
    assert set(WORDS["en"].files) == written


def gaps(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_what_may_not_be_read_is_told_on_the_page_and_to_whoever_made_it(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    """K16: it is not even asked for."""
    why = "Bodies of this group are read by: assistant. Your token has the role owner."
    answers(server, exported(bodies={"kept": 2, "readable": False, "why_not": why}))

    result = run("export", "member", "mem_1", *REASON, environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert why in " ".join(result.stderr.split())
    assert why in " ".join((tmp_path / "export-mem_1/README.txt").read_text().split())
    assert [one.method for one in server.asked] == ["POST", "GET"]


def test_a_folder_that_is_there_is_left_alone(run: Run, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada/mine").write_text("mine")

    result = run(
        *("export", "member", "mem_1", *REASON, "--out", "ada"), environment=server.environment()
    )

    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert server.asked == []
    assert files(tmp_path / "ada").keys() == {"mine"}


def test_what_breaks_off_leaves_no_half_a_folder(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    """P4: nobody is handed half of what is known of them."""
    for kept in (b"no JSON\n", lines("../../evil"), lines("req_1", "req_1")):
        server.answers.clear()
        answers(server, exported(), kept=kept)

        result = run("export", "member", "mem_1", *REASON, environment=server.environment())

        assert result.exit_code == 1, result.output
        assert not (tmp_path / "export-mem_1").exists()
    assert not (tmp_path.parent / "evil.json").exists()


def test_of_a_strange_servers_names_no_path_is_made(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    bad = exported()
    bad["group"] = {**bad["group"], "name": "../elsewhere"}
    answers(server, bad)

    result = run("export", "member", "mem_1", *REASON, environment=server.environment())

    assert result.exit_code == 1
    assert not (tmp_path / "export-mem_1").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_a_reason_has_to_be_said(run: Run, server: FakeServer) -> None:
    """K16"""
    result = run("export", "member", "mem_1", environment=server.environment())

    assert result.exit_code == 2
    assert "--reason" in result.stderr
    assert server.asked == []


def test_where_a_group_hides_names_the_reason_opens_them(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    """P11: over all groups of the person, by their own name."""
    hidden = {"pseudonymous": True, "external_id": "calm-otter-7k3p9", "name": None}
    bodies = {"kept": 0, "readable": True, "why_not": None}
    answers(server, exported(member={**MEMBER, **hidden}, bodies=bodies), others=("mem_2",))
    lab = exported(member={**MEMBER, **hidden, "id": "mem_2"}, bodies=bodies)
    lab["group"] = {**lab["group"], "name": "lab"}
    server.will_answer({"at": "2026-11-25T10:00:00Z", "data": [lab]})
    server.will_answer({"data": [WHO, {**WHO, "member": "mem_2", "name": "A. L."}]})

    result = run("export", "member", "mem_1", *REASON, environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert [(one.method, one.target) for one in server.asked] == [
        ("POST", "/api/v1/members/mem_1/identity"),
        ("GET", "/api/v1/export/members/mem_1"),
        ("GET", "/api/v1/export/members/mem_2"),
        ("POST", "/api/v1/identities"),
    ]
    profile = json.loads((tmp_path / "export-mem_1/lab/profile.json").read_text())
    assert (profile["member"]["external_id"], profile["member"]["name"]) == ("4711", "A. L.")
    assert "otter" not in (tmp_path / "export-mem_1/README.txt").read_text()


def test_as_json_it_is_what_the_api_gives(run: Run, server: FakeServer, tmp_path: Path) -> None:
    answers(server, exported())

    result = run("export", "member", "mem_1", *REASON, "--json", environment=server.environment())

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["data"][0]["member"]["id"] == "mem_1"
    assert list(tmp_path.iterdir()) == []
