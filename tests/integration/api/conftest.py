"""The admin API over a real ledger file, called in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.asgi_client import AsgiClient
from tests.support.fake_clock import FakeClock
from tuckshop.api.app import build_app
from tuckshop.folder_files import pseudonym
from tuckshop.keeping.keeper import Keeper
from tuckshop.ledger.engine import Engine
from tuckshop.ledger.ledger import Ledger
from tuckshop.pricing.prices import PriceList
from tuckshop.services.assembly import Services, assemble
from tuckshop.services.opening import open_directory
from tuckshop.services.price_overrides import open_prices
from tuckshop.storage.database import Database, prepare
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.sealing import KEY_BYTES, Sealer, credential_place
from tuckshop.storage.writer import Writer
from tuckshop.upstreams.addresses import AddressGuard
from tuckshop.upstreams.pool import UpstreamPool
from tuckshop.upstreams.registry import UpstreamRegistry

OWN_PORT = 8001  # where this server would listen
PUBLIC_URL = "https://tuckshop.example.org"
ADMIN_TOKEN = "an admin token for tests only"


@dataclass(frozen=True, kw_only=True)
class Counter:
    """A running server without its edge."""

    services: Services
    writer: Writer
    ledger: Ledger
    database: Database
    person_keys: PersonKeys
    keeper: Keeper
    clock: FakeClock
    app: Any
    admin: AsgiClient
    trouble: list[str]  # why it is not ready
    registry: UpstreamRegistry

    async def group(self, **fields: Any) -> dict[str, Any]:
        """A group, `swa` unless named."""
        answer = await self.admin.post("/api/v1/groups", {"name": "swa", **fields})
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json
        return found

    async def member(self, group: str = "swa", **fields: Any) -> dict[str, Any]:
        """A member of it, 4711 unless named."""
        answer = await self.admin.post(
            f"/api/v1/groups/{group}/members", {"external_id": "4711", **fields}
        )
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json["data"][0]
        return found

    async def key(self, member_id: str, **fields: Any) -> dict[str, Any]:
        """A key of a member."""
        answer = await self.admin.post(f"/api/v1/members/{member_id}/keys", fields)
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json
        return found

    async def token(self, role: str, *groups: str, **fields: Any) -> dict[str, Any]:
        """A token of staff in these groups, `swa` unless named."""
        body = {"name": f"a {role}", "role": role, "groups": list(groups) or ["swa"], **fields}
        answer = await self.admin.post("/api/v1/tokens", body)
        assert answer.status == 201, answer.body
        found: dict[str, Any] = answer.json
        return found

    async def staff(self, role: str, *groups: str, **fields: Any) -> AsgiClient:
        """Calls by a token of staff."""
        return AsgiClient(self.app, token=(await self.token(role, *groups, **fields))["token"])

    async def chain(self, **fields: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """A group with these fields, a member and a key."""
        group = await self.group(**fields)
        member = await self.member()
        return group, member, await self.key(member["id"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pseudonym_of(member_id: str) -> str:
    """What upstreams are told of a member here."""
    return pseudonym(b"s" * 32, member_id)


@pytest.fixture
async def counter(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Counter]:
    clock = FakeClock()
    database = prepare(tmp_path / "data", durability="process")
    person_keys = PersonKeys.open_beside(database.path, b"p" * KEY_BYTES)
    keeper = Keeper(
        tmp_path / "data",
        seals=person_keys,
        clock=clock,
        loop=asyncio.get_running_loop(),
        max_bytes=64 << 20,
        each_max_bytes=1 << 20,
        free_min_bytes=0,
    )
    ledger, writer = make_ledger(database, clock)
    await writer.start()
    trouble: list[str] = []
    try:
        directory = await open_directory(writer, zone="UTC")
        sealer = Sealer(b"k" * KEY_BYTES)
        registry = UpstreamRegistry(
            connect=lambda base_url, reach: UpstreamPool(
                base_url, guard=AddressGuard(reach, lambda: (OWN_PORT,))
            ),
            unseal=lambda record: sealer.open(
                record.sealed or b"", place=credential_place(record.workspace_id, record.id)
            ),
        )
        services = assemble(
            directory=directory,
            writer=writer,
            ledger=ledger,
            database=database,
            prices=await open_prices(writer, PriceList.load(), clock),
            clock=clock,
            default_zone="UTC",
            endpoint_groups=("chat", "embeddings", "moderations", "models"),
            registry=registry,
            sealer=sealer,
            person_keys=person_keys,
            pseudonym_of=pseudonym_of,
            keeper=keeper,
            is_own=lambda base_url: base_url.port == OWN_PORT,
            public_url=PUBLIC_URL,
        )
        app = build_app(
            services=services,
            admin_token=ADMIN_TOKEN,
            readiness=lambda: trouble[0] if trouble else None,
            public_url=PUBLIC_URL,
        )
        yield Counter(
            services=services,
            writer=writer,
            ledger=ledger,
            database=database,
            clock=clock,
            person_keys=person_keys,
            keeper=keeper,
            app=app,
            admin=AsgiClient(app, token=ADMIN_TOKEN),
            trouble=trouble,
            registry=registry,
        )
        await registry.close()
        await services.flag_notes.close()
        await services.erasing.close()
        await services.changes.close()
    finally:
        await keeper.close()
        await writer.close()
        person_keys.close()
        database.close()


def make_ledger(database: Database, clock: FakeClock) -> tuple[Ledger, Writer]:
    """The ledger and its writer, not started."""
    engine = Engine(clock, boot_id="boot_test")
    writer = Writer(database, clock, handler=engine)
    return Ledger(writer, engine, database, clock), writer
