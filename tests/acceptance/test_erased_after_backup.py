"""P4, P10: who was erased after a backup does not come back by it, with or without the keys of persons."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.acceptance.test_erase import ID, a_person, canaries
from tests.support.processes import Mock, Server, start_server
from tests.support.shell import Shell
from tuckshop.storage.erasures import ErasureList

pytestmark = pytest.mark.long


def shown(server: Server, member: str) -> tuple[object, object, object]:
    one = server.made("GET", f"/members/{member}")
    return one["external_id"], one["name"], one["state"]


def until_gone(folder: Path) -> None:
    """Whoever read while it was erased may keep old pages for a while; then they go too."""
    deadline = time.monotonic() + 30
    while canaries(folder) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert canaries(folder) == []


@pytest.mark.parametrize("list_from", ["the folder", "a newer backup"])
def test_an_erased_person_does_not_come_back(tmp_path: Path, mock: Mock, list_from: str) -> None:
    server = start_server(tmp_path / "old", mock.url)
    shell = Shell(server)
    member = a_person(server, calls=2)
    spent = server.made("GET", "/usage?by=member")["data"]
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a passphrase for tests")
    before, newer = tmp_path / "before.db", tmp_path / "newer.db"
    everything = ("--with-person-keys", "--with-credentials", "--passphrase-file", str(passphrase))
    shell.run("backup", str(before), *everything)
    reason = ("--reason", "asked for by letter", "--yes-erase", ID)
    shell.run("erase", "member", f"swa/{ID}", *reason)
    until_gone(server.data)
    shell.run("backup", str(newer))
    assert server.stop() == 0
    more: tuple[str, ...] = ()
    if list_from == "a newer backup":  # the disk is lost, the newer backup damaged but for its list
        shutil.rmtree(server.data)
        more = ("--erasures", str(newer.with_name("newer.db.erasures")))

    told = shell.run(
        *("restore", str(before), "--acknowledge-gap", "--passphrase-file", str(passphrase), *more)
    )
    assert "1 on the list" in told.stdout
    again = start_server(tmp_path / "old", mock.url)

    assert shown(again, member) == ("(erased)", None, "archived")
    assert again.made("GET", "/usage?by=member")["data"] == spent
    call_id = again.made("GET", "/requests")["data"][0]["id"]
    assert again.admin("POST", f"/requests/{call_id}/body", {"reason": "a look"})[0] == 404
    for aside in again.data.glob("tuckshop.db.before-restore-*"):
        aside.unlink()
    until_gone(again.data)
    assert again.stop() == 0
    assert "All agrees" in shell.run("verify").stderr
    # And the erasure is over: no start has anything left to do about it.
    listed = ErasureList.beside(again.data / "tuckshop.db").read()
    assert [(one.member_id, one.is_done) for one in listed] == [(member, True)]
