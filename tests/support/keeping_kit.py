"""What is needed to keep bodies without a server: keys in memory, holders, an endpoint."""

from __future__ import annotations

import asyncio
import secrets
import threading
from pathlib import Path
from typing import Any

from tests.support.fake_clock import FakeClock
from tuckshop.domain.body_logging import Bodies, Logging
from tuckshop.domain.errors import StoreError
from tuckshop.domain.records import Group, Holder, Member, VirtualKey, Workspace
from tuckshop.domain.windows import ZoneHistory
from tuckshop.keeping.body_file import reading
from tuckshop.keeping.keeper import Keeper
from tuckshop.keeping.kept_body import Content, KeptBody
from tuckshop.keeping.seals import open_body
from tuckshop.protocols.openai.table import route
from tuckshop.storage.sealing import KEY_BYTES

CHAT = route("POST", "/v1/chat/completions")
UTC = ZoneHistory.of("UTC")
DAY_US = 86_400 * 1_000_000


class SealsInMemory:
    """AES-GCM with a key per member, as the real ones do it; `destroy` forgets one for good."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes | None] = {}
        self.may_seal = threading.Event()  # cleared: the thread stands still in here
        self.may_seal.set()

    def seal(self, member_id: str, data: bytes, *, place: str) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.may_seal.wait(10)
        key = self._keys.setdefault(member_id, secrets.token_bytes(KEY_BYTES))
        if key is None:
            raise StoreError("the key is destroyed")
        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(key).encrypt(nonce, data, place.encode())

    def open(self, member_id: str, sealed: bytes, *, place: str) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._keys.get(member_id)
        if key is None:
            raise StoreError("the key is destroyed")
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], place.encode())

    def destroy(self, member_id: str) -> None:
        self._keys[member_id] = None


def holder(
    bodies: Bodies = "all", *, group: str = "grp_a", member: str = "mem_a", **fields: Any
) -> Holder:
    """Somebody in a group that keeps *bodies*."""
    return Holder(
        key=VirtualKey(
            id="key_a",
            group_id=group,
            member_id=member,
            name=None,
            digest=b"d" * 32,
            last4="aaaa",
            limits=(),
            models=None,
            endpoints=None,
            max_output_tokens=None,
            tags=(),
            expires_at_us=None,
            state="active",
        ),
        member=Member(
            id=member,
            group_id=group,
            external_id="4711",
            name=None,
            email=None,
            limits=(),
            models=None,
            endpoints=None,
            max_output_tokens=None,
            state="active",
        ),
        group=Group(
            id=group,
            workspace_id="wsp_default",
            name="a",
            title="",
            zone=UTC,
            each=(),
            shared=(),
            models=None,
            endpoints=None,
            max_output_tokens=None,
            min_output_tokens=16,
            patience_s=0,
            on_disconnect="drain",
            unknown_parameters="refuse",
            show_shared=False,
            state="active",
            logging=Logging(bodies=bodies, purpose="appeals"),
        ),
        workspace=Workspace(id="wsp_default", zone=UTC),
        directory_version=1,
    )


class Kept:
    """A keeper over a folder, what it counted, and what lies on the disk."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = options.pop("clock", None) or FakeClock()
        self.seals = options.pop("seals", None) or SealsInMemory()
        self.kept = 0
        self.dropped: dict[str, int] = {}
        self.keeper = Keeper(
            folder,
            seals=self.seals,
            clock=self.clock,
            loop=asyncio.get_running_loop(),
            kept=self._count_kept,
            dropped=self._count_dropped,
            **{"max_bytes": 64 << 20, "each_max_bytes": 1 << 20, "free_min_bytes": 0, **options},
        )
        self.folder = folder

    def _count_kept(self, count: int) -> None:
        self.kept += count

    def _count_dropped(self, why: str, count: int) -> None:
        self.dropped[why] = self.dropped.get(why, 0) + count

    def call(
        self,
        request_id: str,
        request: bytes = b'{"model":"m"}',
        reply: bytes = b'{"a":1}',
        **who: Any,
    ) -> None:
        """One call from beginning to end."""
        tap = self.keeper.begin(request_id, holder(**who), CHAT, request)
        if tap is not None:
            tap.add(reply)
            tap.end(200, is_stream=False)

    def row(self, request_id: str) -> KeptBody | None:
        with reading(self.keeper.path) as found:
            row = None if found is None else found.find("wsp_default", request_id)
        return None if row is None else row[0]

    def content(self, request_id: str) -> Content | None:
        with reading(self.keeper.path) as found:
            row = None if found is None else found.find("wsp_default", request_id)
        if row is None:
            return None
        return open_body(self.seals, *row)

    def sealed(self, request_id: str) -> bytes:
        """What stands in the file."""
        with reading(self.keeper.path) as found:
            assert found is not None
            row = found.find("wsp_default", request_id)
        assert row is not None
        return row[1]


def everywhere(folder: Path) -> bytes:
    """Every byte of every file in it."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
