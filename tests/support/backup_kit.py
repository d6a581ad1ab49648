"""Backups as the command makes them, and a data folder that has something of everything."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.support.fake_clock import FakeClock
from tests.support.ledger_kit import Desk, hold, settlement
from tuckshop.backups.making import make
from tuckshop.domain.clock import Clock
from tuckshop.domain.reservation import Amounts
from tuckshop.folder_files import CREDENTIALS, derived, master_secret
from tuckshop.keeping.body_file import BodyFile
from tuckshop.keeping.kept_body import KeptBody
from tuckshop.ledger.backup import Backup
from tuckshop.ledger.verify import Report
from tuckshop.storage.person_keys import PERSON_KEYS, PersonKeys
from tuckshop.storage.sealing import Sealer, credential_place, webhook_place

USED = Amounts(cost_nano=5_000, input_tokens=100, output_tokens=10)
CREDENTIAL = "sk-of-the-second-upstream"
SIGNING = "whsec_of-the-webhook"
SAID = b"Marzipankartoffel"
BODIES_MAX_BYTES = 64 << 20


def back_up(ledger: Path, target: Path, clock: Clock) -> tuple[Backup, Report]:
    """A backup without anything that has to be asked for."""
    made = make(ledger.parent, ledger, target, clock)
    return made.backup, made.report


class DataFolder:
    """A ledger with a settled call, an upstream and a webhook with secrets, and a kept body per member."""

    def __init__(self, folder: Path, clock: FakeClock, members: Sequence[str] = ("mem_a", "mem_b")):
        self.folder = folder
        self.clock = clock
        self.ledger = folder / "tuckshop.db"
        self.desk = Desk(folder, clock)
        self.desk.do(hold("$1/month", request_id="req_1"))
        self.desk.do(settlement("req_1", USED))
        clock.advance(1)
        self.master = master_secret(folder)
        self._seal_some()
        self.keep(members)

    def _seal_some(self) -> None:
        sealer = Sealer(derived(self.master, CREDENTIALS))
        workspace = "wsp_default"
        self.desk.session.begin(self.clock.now_us())
        cursor = self.desk.session.transaction.cursor
        cursor.execute(
            "INSERT INTO upstreams (workspace_id, id, name, family, profile, base_url, reach, credential_source,"
            " sealed, created_at) VALUES"
            " (?, 'ups_2', 'second', 'openai', 'openai', 'https://second.example/v1', 'public', 'sealed', ?, 0)",
            (workspace, sealer.seal(CREDENTIAL, place=credential_place(workspace, "ups_2"))),
        )
        cursor.execute(
            "INSERT INTO webhooks (workspace_id, id, url, reach, sealed, state, created_by, created_at) VALUES"
            " (?, 'hok_1', 'https://hook.example/', 'public', ?, 'active', 'operator', 0)",
            (workspace, sealer.seal(SIGNING, place=webhook_place(workspace, "hok_1"))),
        )
        self.desk.session.commit()

    def keep(self, members: Sequence[str], *, number: int = 1) -> None:
        """A body of each."""
        keys = self.keys()
        file = BodyFile(self.folder / "bodies.db", max_bytes=BODIES_MAX_BYTES)
        for member in members:
            request = f"req_{member}_{number}"
            body = KeptBody(
                request_id=request,
                workspace_id="wsp_default",
                group_id="grp_a",
                member_id=member,
                at_us=self.clock.now_us(),
                is_flagged=False,
            )
            file.add([(body, keys.seal(member, SAID, place=request))])
        file.close()
        keys.close()

    def keys(self) -> PersonKeys:
        """The keys of its persons."""
        return PersonKeys.open_beside(self.ledger, derived(self.master, PERSON_KEYS))


def bodies_in(path: Path) -> dict[str, bytes]:
    """Request → what is kept of it, sealed."""
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT request_id, sealed FROM bodies").fetchall())


def sealed_in(path: Path, table: str) -> list[bytes | None]:
    """What stands sealed in a table of a ledger."""
    with closing(sqlite3.connect(path)) as connection:
        return [sealed for (sealed,) in connection.execute(f"SELECT sealed FROM {table}")]  # noqa: S608 - ours
