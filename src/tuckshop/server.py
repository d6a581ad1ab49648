"""
The composition root: the only place that knows every concrete class. Settings in, running server out.

The order of a start is the order of what may fail: folder and ledger, recovery, directory, listener. The server is
ready when all of it is done; whatever cannot be had ends the start with a sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tuckshop.api.app import build_app
from tuckshop.api.listeners import HoldersOnly, NoDataPlane
from tuckshop.api.problems import refused
from tuckshop.bodies.reader import BodyReader
from tuckshop.charge_watch import ChargeWatch
from tuckshop.domain.errors import SettingsError, StoreError
from tuckshop.domain.ids import new_id
from tuckshop.domain.networks import parse_network
from tuckshop.domain.origins import parse_origin
from tuckshop.domain.records import Holder
from tuckshop.edge.app import App
from tuckshop.edge.forwarded import TrustedProxies
from tuckshop.edge.limits import EdgeLimits
from tuckshop.edge.server import Edge
from tuckshop.exposure import refuse_if_unfit, warnings_for
from tuckshop.folder_files import (
    CREDENTIALS,
    PSEUDONYMS,
    admin_token,
    derived,
    master_secret,
    pseudonym,
    remove_run_file,
    write_run_file,
)
from tuckshop.gateway.browser import ANY, BrowserAccess
from tuckshop.gateway.callers import Callers
from tuckshop.gateway.drains import DrainLimits
from tuckshop.gateway.flood import FloodGate
from tuckshop.gateway.gateway import Gateway
from tuckshop.gateway.house_rules import HouseRules
from tuckshop.gateway.moderation.moderator import Moderator
from tuckshop.gateway.moderation.notes import Notes
from tuckshop.gateway.moderation.reading import ContentsReader
from tuckshop.gateway.moderation.service import ModerationService, ServiceLimits
from tuckshop.gateway.moderation.verdicts import Verdicts
from tuckshop.gateway.ports import DEFAULT_UPSTREAM, UpstreamManners
from tuckshop.keeping.keeper import Keeper
from tuckshop.ledger.day_filling import DayFilling
from tuckshop.ledger.engine import Engine
from tuckshop.ledger.ledger import Ledger
from tuckshop.metrics import Metrics
from tuckshop.pricing.prices import PriceList
from tuckshop.protocols.openai.body import BodyLimits
from tuckshop.protocols.openai.reply import ReplyLimits
from tuckshop.protocols.openai.table import GROUPS
from tuckshop.services.assembly import Services, assemble
from tuckshop.services.erasing.recovery import finish_erasures
from tuckshop.services.opening import open_directory
from tuckshop.services.price_overrides import open_prices
from tuckshop.settings import Settings
from tuckshop.storage.database import Database, prepare
from tuckshop.storage.erasures import ErasureList
from tuckshop.storage.person_keys import PERSON_KEYS, PersonKeys
from tuckshop.storage.sealing import Sealer
from tuckshop.storage.writer import Writer
from tuckshop.system_clock import SystemClock
from tuckshop.tokenizing.counter import TokenCounter
from tuckshop.upstreams.registry import UpstreamRegistry
from tuckshop.ways_out import (
    Connector,
    OwnAddresses,
    credential_of,
    mail_way,
    surroundings_of,
    upstream_setting,
)
from tuckshop.web.link_page import link_routes

_log: Final = logging.getLogger(__name__)

RELEASE_S: Final = 2.0  # how long the ledger may take to send away those who wait
WATCH_S: Final = 1.0  # how often the server looks after its ledger, and at what calls are charged
DRAIN_LOOK_S: Final = 0.02


@dataclass(slots=True, kw_only=True)
class Server:
    """A running server. `close` ends it in order."""

    settings: Settings
    database: Database
    person_keys: PersonKeys
    writer: Writer
    ledger: Ledger
    services: Services
    gateway: Gateway
    counter: TokenCounter
    bodies: BodyReader
    keeper: Keeper
    moderator: Moderator
    registry: UpstreamRegistry
    charges: ChargeWatch
    day_filling: DayFilling
    edge: Edge
    admin_edge: Edge | None  # where the admin API has a listener of its own
    url: str  # of the data plane
    admin_url: str
    hurry: asyncio.Event = field(
        default_factory=asyncio.Event
    )  # set: do not wait for running calls

    async def close(self) -> None:
        """Accept nothing more, let running calls end, charge the rest their bound, write everything, let go."""
        for edge in self._edges:
            edge.stop_accepting()
        if not await self._drained(self.settings.drain_seconds):
            _log.warning(
                "calls still ran when the time to end was over; they are charged their bound"
            )
        with contextlib.suppress(TimeoutError):  # a ledger that gave up answers nobody (D4)
            await asyncio.wait_for(self.ledger.release_all(), RELEASE_S)
        self.gateway.cancel_all()
        for edge in self._edges:
            await edge.cut()
        await self.moderator.close()
        await self.counter.close()
        await self.bodies.close()
        await self.registry.close()
        await self.day_filling.close()
        await self.services.notifier.close()
        await self.services.mails.close()
        await self.services.log_folding.close()
        await self.services.flag_notes.close()
        await self.services.erasing.close()
        await self.keeper.close()
        await self.services.body_retention.close()
        await self.services.changes.close()
        self.database.let_readers_go()
        await self.writer.close()
        self.person_keys.close()
        self.database.close()
        remove_run_file(self.settings.data)

    @property
    def _edges(self) -> tuple[Edge, ...]:
        return (self.edge,) if self.admin_edge is None else (self.edge, self.admin_edge)

    async def _drained(self, seconds: float) -> bool:
        """Wait for running calls, those too that are read on without a client; True: none is left."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while any(edge.is_busy for edge in self._edges) or self.gateway.is_busy:
            if self.hurry.is_set() or loop.time() >= deadline:
                return False
            await asyncio.sleep(DRAIN_LOOK_S)
        return True


async def start(settings: Settings) -> Server:
    """
    Everything up, recovered and listening.

    Raises:
        StoreError: The data folder or the ledger cannot be used.
        SettingsError: The address cannot be had.
    """
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    folder = settings.data
    database = prepare(folder, database=_database_path(settings), durability=settings.durability)
    async with contextlib.AsyncExitStack() as undo:
        undo.callback(database.close)
        master = master_secret(folder)
        person_keys = PersonKeys.open_beside(database.path, derived(master, PERSON_KEYS))
        undo.callback(person_keys.close)
        token = admin_token(folder, settings.admin_token)
        refuse_if_unfit(settings, token)
        metrics = Metrics()
        engine = Engine(
            clock,
            boot_id=new_id("boot", clock.now_us()),
            waiting_max=settings.edge.waiting_max,
            watch=metrics,
        )
        writer = Writer(database, clock, handler=engine, watch=metrics)
        await writer.start()
        undo.push_async_callback(writer.close)
        ledger = Ledger(writer, engine, database, clock)
        prices = await open_prices(writer, PriceList.load(), clock)
        sealer = Sealer(derived(master, CREDENTIALS))
        own = OwnAddresses(settings)
        connector = Connector(settings, own)
        registry = UpstreamRegistry(
            connect=connector.connect,
            unseal=lambda record: credential_of(record, settings, sealer),
        )
        keeper = Keeper(
            folder,
            seals=person_keys,
            clock=clock,
            loop=loop,
            max_bytes=settings.bodies_max_bytes,
            each_max_bytes=settings.bodies_each_max_bytes,
            kept=metrics.bodies_kept,
            dropped=metrics.bodies_dropped,
        )
        undo.push_async_callback(keeper.close)
        await finish_erasures(writer, person_keys, keeper, ErasureList.beside(database.path))
        directory = await open_directory(
            writer, zone=settings.timezone, upstream=upstream_setting(settings)
        )
        pseudonym_of = partial(pseudonym, derived(master, PSEUDONYMS))
        services = assemble(
            directory=directory,
            writer=writer,
            ledger=ledger,
            database=database,
            prices=prices,
            clock=clock,
            default_zone=settings.timezone,
            endpoint_groups=GROUPS,
            registry=registry,
            sealer=sealer,
            person_keys=person_keys,
            pseudonym_of=pseudonym_of,
            keeper=keeper,
            is_own=own.is_named_by,
            upstream=DEFAULT_UPSTREAM,
            public_url=settings.public_url,
            mail=mail_way(settings, metrics.mailed),
            watch=metrics,
            connect=connector.connect_once,
            alarms=metrics.alarms,
            surroundings=surroundings_of(settings),
        )
        counter = TokenCounter(clock=clock)
        body_limits = BodyLimits(
            max_depth=settings.edge.json_max_depth,
            max_values=settings.edge.json_max_values,
            model_max_chars=settings.edge.model_max_chars,
        )
        bodies = BodyReader(clock=clock, body_limits=body_limits)
        moderator = Moderator(
            service=ModerationService(
                upstreams=registry,
                verdicts=Verdicts(derived(master, "verdicts of moderation"), clock),
                clock=clock,
                loop=loop,
                watch=metrics,
                limits=ServiceLimits(
                    per_minute=settings.edge.moderation_per_minute,
                    verdict_timeout_s=settings.edge.moderation_timeout_s,
                ),
            ),
            reader=ContentsReader(bodies, counter),
            notes=Notes(services.flag_notes, derived(master, "contents of flags")),
            watch=metrics,
        )
        gateway = Gateway(
            directory=directory,
            ledger=ledger,
            prices=prices,
            counter=counter,
            bodies=bodies,
            moderator=moderator,
            upstreams=registry,
            manners=UpstreamManners(
                pseudonym_of=pseudonym_of,
                gap_s=settings.edge.upstream_gap_timeout_s,
                reasoning_gap_s=settings.edge.upstream_reasoning_gap_timeout_s,
            ),
            clock=clock,
            flood=FloodGate(
                per_second=settings.edge.flood_per_second, burst=settings.edge.flood_burst
            ),
            drains=DrainLimits(
                all=settings.edge.drained_max,
                per_member=settings.edge.drained_per_member_max,
                timeout_s=settings.edge.drained_timeout_s,
            ),
            body_limits=body_limits,
            body_max_bytes={
                "": settings.edge.body_max_bytes,
                "chat": settings.edge.chat_body_max_bytes,
                "responses": settings.edge.chat_body_max_bytes,
            },
            reply_limits=ReplyLimits(
                event_max_bytes={
                    "chunks": settings.edge.chat_event_max_bytes,
                    "typed": settings.edge.responses_event_max_bytes,
                },
                whole_max_bytes=settings.edge.reply_whole_max_bytes,
                tail_bytes=settings.edge.reply_tail_bytes,
            ),
            house_rules=HouseRules(
                clock=clock,
                flags=services.flag_notes,
                secret=derived(master, "contents of flags"),
            ),
            callers=Callers(derived(master, "networks of callers")),
            loop=loop,
            watch=metrics,
            body_log=keeper,
        )
        directory.on_cut(lambda ids: gateway.cut_off(lambda holder: _is_among(holder, ids)))
        app = build_app(
            services=services,
            admin_token=token,
            readiness=lambda: writer.trouble,
            metrics=metrics.page,
            pages=link_routes(),
            public_url=settings.public_url,
        )
        limits = _edge_limits(settings)
        proxies = TrustedProxies(map(parse_network, settings.trusted_proxies))
        has_two = settings.has_admin_listener
        edge = Edge(
            _for_browsers(gateway, settings),
            HoldersOnly(app) if has_two else app,
            limits,
            clock,
            refuse_by_asgi=refused,
            trusted_proxies=proxies,
        )
        admin_edge = (
            Edge(NoDataPlane(), app, limits, clock, refuse_by_asgi=refused, trusted_proxies=proxies)
            if has_two
            else None
        )
        metrics.read_gauges(
            {
                "tuckshop_ready": lambda: writer.trouble is None,
                "tuckshop_connections": lambda: edge.open_connections,
                "tuckshop_in_flight": lambda: edge.in_flight,
                "tuckshop_relaying": lambda: gateway.relaying,
                "tuckshop_open_reservations": lambda: engine.open_reservations,
                "tuckshop_waiting": lambda: engine.waiting,
                "tuckshop_writer_queue": lambda: writer.waiting,
                "tuckshop_buffered_body_bytes": lambda: edge.buffered_bytes,
                "tuckshop_kept_body_bytes": lambda: keeper.held_bytes,
                "tuckshop_disk_free_bytes": database.free_bytes,
                "tuckshop_tasks": lambda: len(asyncio.all_tasks(loop)),
                "tuckshop_upstream_connections": lambda: sum(
                    pool.open_connections for pool in registry.pools
                ),
                "tuckshop_upstream_idle_connections": lambda: sum(
                    pool.idle_connections for pool in registry.pools
                ),
                "tuckshop_upstream_dialling": lambda: sum(pool.dialling for pool in registry.pools),
            }
        )
        undo.push_async_callback(services.mails.close)
        await services.mails.start()
        undo.push_async_callback(services.notifier.close)
        await services.notifier.start()
        day_filling = DayFilling(ledger)
        undo.push_async_callback(day_filling.close)
        day_filling.start()
        await _listen(edge, settings.host, settings.port, "TUCKSHOP_PORT")
        undo.callback(edge.stop_accepting)
        if admin_edge is not None:
            await _listen(admin_edge, *settings.admin_address, "TUCKSHOP_ADMIN_PORT")
        own.learn(edge.port, None if admin_edge is None else admin_edge.port)
        undo.pop_all()
    url = f"http://{_in_url(settings.host)}:{edge.port}"
    admin_url = url
    if admin_edge is not None:
        admin_url = f"http://{_in_url(settings.admin_address[0])}:{admin_edge.port}"
    write_run_file(folder, url=admin_url, calls_url=(settings.public_url or url).rstrip("/"))
    return Server(
        settings=settings,
        database=database,
        person_keys=person_keys,
        writer=writer,
        ledger=ledger,
        services=services,
        gateway=gateway,
        counter=counter,
        bodies=bodies,
        keeper=keeper,
        moderator=moderator,
        registry=registry,
        charges=ChargeWatch(clock, read=metrics.charges, alarm=metrics.alarm),
        day_filling=day_filling,
        edge=edge,
        admin_edge=admin_edge,
        url=url,
        admin_url=admin_url,
    )


async def serve(settings: Settings, on_ready: Callable[[str], None] | None = None) -> None:
    """
    Serve until SIGTERM or SIGINT, then end in order; a second signal ends at once.

    *on_ready* is called once, with the address, when the server is ready.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    server = await start(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _spare_the_collector()
    _greet(server)
    if on_ready is not None:
        on_ready(server.url)
    while not (stop.is_set() or server.writer.must_restart):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), WATCH_S)
        server.charges.look()
        server.services.log_folding.look()
        server.services.body_retention.look()
    _log.info("stopping: running calls may end within %g s", settings.drain_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.hurry.set)
    must_restart = server.writer.must_restart
    await server.close()
    if must_restart:
        # What is on the disk can only be trusted after it was read anew (D4).
        raise StoreError("the ledger could not be written for sure; start again to check it")
    _log.info("stopped")


def run(settings: Settings, on_ready: Callable[[str], None] | None = None) -> None:
    """
    `serve` on a loop of its own; returns when the server has ended in order.

    Raises:
        StoreError, SettingsError: It could not start.
    """
    import uvloop

    uvloop.run(serve(settings, on_ready))


def _spare_the_collector() -> None:
    """What stands when the server is ready stands to its end: the cycle collector need not go through it again."""
    gc.collect()
    gc.freeze()


def _greet(server: Server) -> None:
    settings = server.settings
    _log.info("listening on %s, data in %s", server.url, settings.data)
    without = [r.name for r in server.services.directory.upstreams() if not r.credential_source]
    if without:
        _log.warning(
            "without a credential: %s; give it by `tuckshop upstream edit NAME --credential`",
            ", ".join(without),
        )
    if not server.registry.is_usable:
        _log.warning(
            "OPENAI_API_KEY is not set and no other upstream can be called: everything but the calls themselves works"
        )
    if server.admin_edge is not None:
        _log.info("the admin API listens on %s", server.admin_url)
    for warning in warnings_for(settings):
        _log.warning("%s", warning)


async def _listen(edge: Edge, host: str, port: int, setting: str) -> None:
    try:
        await edge.serve(host, port)
    except OSError as error:
        raise SettingsError(
            f"{host} port {port} cannot be listened on: {error.strerror or error};"
            f" set {setting} to another"
        ) from error


def _for_browsers(gateway: Gateway, settings: Settings) -> App:
    if not settings.browser_origins:
        return gateway
    origins = settings.browser_origins
    return BrowserAccess(gateway, [o if o == ANY else parse_origin(o) for o in origins])


def _is_among(holder: Holder, ids: frozenset[str]) -> bool:
    return not ids.isdisjoint((holder.key.id, holder.member.id, holder.group.id))


def _edge_limits(settings: Settings) -> EdgeLimits:
    edge = settings.edge
    return EdgeLimits(
        head_timeout_s=edge.head_timeout_s,
        body_timeout_s=edge.body_timeout_s,
        body_min_bytes_per_s=edge.body_min_bytes_per_s,
        keepalive_timeout_s=edge.keepalive_timeout_s,
        stall_timeout_s=edge.stall_timeout_s,
        head_max_bytes=edge.head_max_bytes,
        head_max_fields=edge.head_max_fields,
        body_max_bytes=edge.body_max_bytes,
        connections_max=edge.connections_max,
        in_flight_max=edge.in_flight_max,
        buffered_bodies_max_bytes=edge.buffered_bodies_max_bytes,
    )


def _database_path(settings: Settings) -> Path | None:
    """
    The file that `sqlite:///PATH` names: relative as written, absolute with four slashes, as SQLAlchemy reads it.

    Raises:
        StoreError: No file is named.
    """
    if settings.database_url is None:
        return None
    path = settings.database_url.removeprefix("sqlite:///")
    if not path or path == ":memory:":
        raise StoreError("TUCKSHOP_DATABASE_URL: a ledger needs a file")
    return Path(path)


def _in_url(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104 - every address: this machine finds us on loopback
        return "127.0.0.1" if host == "0.0.0.0" else "[::1]"  # noqa: S104
    return f"[{host}]" if ":" in host else host
