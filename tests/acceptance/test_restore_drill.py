"""
The restore drill: an instance in use is backed up under load, lost with its disk, and serves again on another.

D8, P10: the same keys open, every sum is that of the backup's instant to the nano-dollar, and what was kept of people
can be read where their keys came along, and nowhere else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import client_of, key_of_new_member
from tests.support.processes import COMMAND, Mock, Server, clean_environment, start_server
from tuckshop.keeping.body_file import reading

pytestmark = pytest.mark.long

DOCS = Path(__file__).parents[2] / "docs"
MODEL = "gpt-4o-mini"
HELLO: Any = [{"role": "user", "content": "Marzipankartoffel"}]
PASSPHRASE = "four words and a number 7"
CREDENTIAL = "sk-of-the-second-upstream"
NANO = Decimal(10) ** 9


def tuckshop(
    data: Path, *arguments: str, status: int = 0, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(COMMAND), *arguments],
        env=clean_environment() | {"TUCKSHOP_DATA": str(data)},
        cwd=data.parent,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, (done.stdout, done.stderr)
    return done


def say_hello(server: Server, key: str) -> None:
    client_of(server, key).chat.completions.create(model=MODEL, messages=HELLO, max_tokens=20)


def spent_nano(server: Server, group: str) -> int:
    return sum(
        int(Decimal(str(row["cost_usd"])) * NANO)
        for row in server.made("GET", f"/usage?group={group}")["data"]
    )


def in_backup(file: Path) -> tuple[int, int]:
    """(closed calls, nano-USD charged) in a backup's file, added up without any code of the product."""
    with closing(sqlite3.connect(file)) as connection:
        calls, cost = connection.execute(
            "SELECT count(*), coalesce(sum(cost), 0) FROM requests WHERE state = 'settled'"
        ).fetchone()
    return int(calls), int(cost)


def held_in(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        (held,) = connection.execute(
            "SELECT coalesce(sum(held_cost), 0) FROM requests WHERE state = 'reserved'"
        ).fetchone()
    return int(held)


class Load:
    """Calls without end, from several threads."""

    def __init__(self, server: Server, keys: list[str]) -> None:
        self.calls = 0
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(server, key)) for key in keys]
        for thread in self._threads:
            thread.start()

    def _run(self, server: Server, key: str) -> None:
        while not self._stop.is_set():
            try:
                say_hello(server, key)
            except Exception as error:  # noqa: BLE001 - told by the test
                self.errors.append(error)
                return
            self.calls += 1

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def test_an_instance_that_was_lost_serves_again_from_its_backup(folder: Path, mock: Mock) -> None:
    server = start_server(folder / "old", mock.url)
    logging = {"bodies": "all", "purpose": "a drill"}
    keys = [
        key_of_new_member(server, name, each=["$50/month"], logging=logging)
        for name in ("swa", "algo", "nets")
    ]
    server.made(
        "POST",
        "/upstreams",
        {"name": "second", "base_url": mock.url, "credential": CREDENTIAL},
    )
    for key in keys:
        say_hello(server, key)
    request = server.made("GET", "/requests?limit=1")["data"][0]["id"]
    passphrase = folder / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")

    # While calls run. None of them fails, and both backups are whole.
    load = Load(server, keys)
    plain, full = folder / "plain.db", folder / "full.db"
    told = tuckshop(server.data, "backup", str(plain))
    loud = tuckshop(
        server.data,
        *("backup", str(full), "--with-person-keys", "--with-credentials"),
        *("--passphrase-file", str(passphrase)),
    )
    load.stop()

    assert load.errors == []
    assert load.calls > 0
    assert "WARNING" not in told.stderr
    assert loud.stderr.count("WARNING") == 2
    made = sorted(path.name for path in folder.glob("*.db*"))
    assert made == [
        *("full.db", "full.db.bodies", "full.db.credentials", "full.db.person-keys"),
        *("plain.db", "plain.db.bodies"),
    ]
    for name in made:
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        content = (folder / name).read_bytes()
        for secret in (CREDENTIAL, "Marzipankartoffel", PASSPHRASE, *keys):
            assert secret.encode() not in content, name

    # The disk is lost.
    calls, cost = in_backup(full)
    bound = held_in(full)
    assert server.stop() == 0
    shutil.rmtree(server.data)

    # On another machine, with everything.
    new = folder / "new" / "data"
    new.parent.mkdir()
    answer = json.loads(
        tuckshop(
            new,
            *("restore", str(full), "--passphrase-file", "-", "--json", "--acknowledge-gap"),
            stdin=PASSPHRASE,
        ).stdout
    )
    assert answer["verified"]
    assert answer["credentials"]
    assert answer["bodies_unreadable"] == 0
    assert (answer["upstreams"], answer["webhooks"]) == ([], [])
    again = start_server(new.parent, mock.url)
    assert sum(spent_nano(again, name) for name in ("swa", "algo", "nets")) == cost + bound
    state = {one["name"]: one["state"] for one in again.made("GET", "/upstreams")["data"]}
    assert state["second"] == "ready"
    body = again.made("POST", f"/requests/{request}/body", {"reason": "a drill"})
    assert body["request"]["messages"] == HELLO
    before = spent_nano(again, "swa")
    say_hello(again, keys[0])
    assert spent_nano(again, "swa") > before
    for key in keys[1:]:
        say_hello(again, key)
    assert again.stop() == 0
    assert "All agrees" in tuckshop(new, "verify").stderr
    assert calls >= 3

    # And with the plain one: the same keys and sums, nothing of what people said.
    bare = folder / "bare" / "data"
    bare.parent.mkdir()
    done = tuckshop(bare, "restore", str(plain), "--acknowledge-gap")
    assert "no secret-key" in done.stderr
    assert "cannot be read: the keys of their persons are not here" in " ".join(done.stderr.split())
    assert "upstream edit second --credential" in done.stderr
    dark = start_server(bare.parent, mock.url)
    assert sum(spent_nano(dark, name) for name in ("swa", "algo", "nets")) == (
        in_backup(plain)[1] + held_in(plain)
    )
    for key in keys:
        say_hello(dark, key)
    status, problem = dark.admin("POST", f"/requests/{request}/body", {"reason": "a drill"})
    assert status != 200, problem
    assert "Marzipankartoffel" not in json.dumps(problem)
    with reading(bare / "bodies.db") as bodies:
        assert bodies is not None
        assert sum(bodies.by_member().values()) >= 3
    assert dark.stop() == 0
    assert "All agrees" in tuckshop(bare, "verify").stderr


def test_the_commands_of_the_page_do_what_it_says(folder: Path, mock: Mock) -> None:
    """Every line of docs/how-to/back-up-and-restore.md, in its order, with its folders moved."""
    server = start_server(folder / "old", mock.url)
    logging = {"bodies": "all", "purpose": "a drill"}
    key = key_of_new_member(server, "swa", each=["$1/month"], logging=logging)
    say_hello(server, key)
    for name in ("backups", "keys", "move", "secrets"):
        (folder / name).mkdir()
    (folder / "secrets" / "passphrase").write_text(PASSPHRASE)
    (folder / "backups" / "tuckshop-2026-10-01.db").write_text("old")
    os.utime(folder / "backups" / "tuckshop-2026-10-01.db", (0, 0))
    environment = clean_environment() | {
        "TUCKSHOP_DATA": str(server.data),
        "PATH": f"{COMMAND.parent}:/usr/bin:/bin",
    }

    def run(line: str) -> str:
        text = line.replace("/srv/", f"{folder}/").replace("/run/secrets/", f"{folder}/secrets/")
        text = text.replace("$(date +%F)", "2026-11-24")
        done = subprocess.run(
            ["/bin/sh", "-c", text],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout + done.stderr

    *lines, serve, drill, verify = lines_of("how-to/back-up-and-restore.md")
    night, clean_up, keys, move, restore, acknowledge = lines
    for line in (night, clean_up, keys, move):
        run(line)

    assert sorted(path.name for path in (folder / "backups").iterdir()) == [
        *("tuckshop-2026-11-24.db", "tuckshop-2026-11-24.db.bodies"),
    ]
    assert (folder / "keys" / "tuckshop-2026-11-24.db.person-keys").exists()
    assert not (folder / "keys" / "tuckshop-2026-11-24.db.bodies").exists()
    assert len(list((folder / "move").iterdir())) == 4
    assert server.stop() == 0
    assert "Restored" in run(restore)
    assert "Acknowledged" in run(acknowledge)
    assert serve == "tuckshop serve"
    assert "secret-key" in run(drill)
    assert "All agrees" in run(verify)
    again = start_server(folder / "old", mock.url)
    say_hello(again, key)
    assert again.stop() == 0


def lines_of(page: str) -> list[str]:
    """The lines of a page's shell blocks."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]
