"""The services, put together from what they work on. `server.py` makes those, once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tuckshop.domain.authority import Authority
from tuckshop.domain.clock import Clock
from tuckshop.domain.watch import Watch
from tuckshop.keeping.keeper import Keeper
from tuckshop.ledger.ledger import Ledger
from tuckshop.mailing.policy import MailWay
from tuckshop.mailing.sender import Sender
from tuckshop.pricing.price_book import PriceBook
from tuckshop.services.appeals import Appeals
from tuckshop.services.audit_trail import AuditTrail
from tuckshop.services.body_retention import BodyRetention
from tuckshop.services.body_search import BodySearch
from tuckshop.services.bulk import Bulk
from tuckshop.services.changes import Changes
from tuckshop.services.claims import Claims
from tuckshop.services.clock import ServerClock
from tuckshop.services.corrections import Corrections
from tuckshop.services.directory import Directory
from tuckshop.services.erasing.cleaning import Cleaning
from tuckshop.services.erasing.erasing import Erasing
from tuckshop.services.exporting.bodies import PersonBodies
from tuckshop.services.exporting.exporting import Exporting
from tuckshop.services.flag_notes import FlagNotes
from tuckshop.services.flag_retention import FlagRetention
from tuckshop.services.flags import Flags
from tuckshop.services.forecasts import Forecasts
from tuckshop.services.grants import Grants
from tuckshop.services.groups import Groups
from tuckshop.services.handing_out import HandingOut
from tuckshop.services.holds import Holds
from tuckshop.services.identities import Identities
from tuckshop.services.kept_bodies import KeptBodies
from tuckshop.services.key_finding import KeyFinding
from tuckshop.services.keys import Keys
from tuckshop.services.log_folding import LogFolding
from tuckshop.services.mail_letters import Letters, Links
from tuckshop.services.mail_queue import MailQueue
from tuckshop.services.mail_templates import Kind
from tuckshop.services.mails import PER_DAY_DEFAULT, Mails, Outbox
from tuckshop.services.me import Mine
from tuckshop.services.members import Members
from tuckshop.services.notices.assembly import assemble_notices
from tuckshop.services.notices.notifier import Notifier
from tuckshop.services.notices.notify import Notify
from tuckshop.services.notices.webhooks import Webhooks
from tuckshop.services.papers.facts import Surroundings
from tuckshop.services.papers.stating import Stating
from tuckshop.services.papers.writing import Papers
from tuckshop.services.price_list import Prices
from tuckshop.services.price_overrides import PriceOverrides
from tuckshop.services.price_refresh import PriceRefreshing
from tuckshop.services.request_log import RequestLog
from tuckshop.services.rosters import Rosters
from tuckshop.services.self_rotation import SelfRotation
from tuckshop.services.statements import Statements
from tuckshop.services.takeover.taking import Takeovers
from tuckshop.services.tokens import Tokens
from tuckshop.services.upstreams import IsOwn, Upstreams
from tuckshop.services.usage import Usage
from tuckshop.services.who import PseudonymOf, Who
from tuckshop.services.workspaces import Workspaces
from tuckshop.storage.database import Database
from tuckshop.storage.erasures import ErasureList
from tuckshop.storage.person_keys import PersonKeys
from tuckshop.storage.sealing import Sealer
from tuckshop.storage.writer import Writer
from tuckshop.upstreams.posting import Connect, connect_straight
from tuckshop.upstreams.registry import UpstreamRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the faces call."""

    directory: Directory
    changes: Changes
    groups: Groups
    members: Members
    grants: Grants
    rosters: Rosters
    keys: Keys
    claims: Claims
    handing_out: HandingOut
    identities: Identities
    key_finding: KeyFinding
    bulk: Bulk
    tokens: Tokens
    workspaces: Workspaces
    takeovers: Takeovers
    upstreams: Upstreams
    request_log: RequestLog
    usage: Usage
    forecasts: Forecasts
    statements: Statements
    mine: Mine
    self_rotation: SelfRotation
    prices: Prices
    price_overrides: PriceOverrides
    price_refreshing: PriceRefreshing
    corrections: Corrections
    mails: Mails
    webhooks: Webhooks
    notify: Notify
    notifier: Notifier
    audit_trail: AuditTrail
    server_clock: ServerClock
    log_folding: LogFolding
    flag_notes: FlagNotes
    flags: Flags
    appeals: Appeals
    who: Who
    kept_bodies: KeptBodies
    body_retention: BodyRetention
    body_search: BodySearch
    holds: Holds
    exporting: Exporting
    erasing: Erasing
    papers: Papers
    stating: Stating
    clock: Clock


def assemble(
    *,
    directory: Directory,
    writer: Writer,
    ledger: Ledger,
    database: Database,
    prices: PriceBook,
    clock: Clock,
    default_zone: str,
    endpoint_groups: Sequence[str],
    registry: UpstreamRegistry,
    sealer: Sealer,
    person_keys: PersonKeys,
    pseudonym_of: PseudonymOf,
    keeper: Keeper,
    is_own: IsOwn = lambda base_url: False,
    upstream: str = "openai",
    public_url: str | None = None,
    mail: MailWay | None = None,
    watch: Watch | None = None,
    connect: Connect = connect_straight,
    alarms: Callable[[], Mapping[str, int]] = dict,
    surroundings: Surroundings = Surroundings(),  # noqa: B008 - frozen
) -> Services:
    """
    All services over one database.

    Args:
        endpoint_groups: Those that the data plane serves.
        registry: The upstreams of this server; follows the directory from now on.
        sealer: For their credentials.
        person_keys: For what may have to be forgotten.
        pseudonym_of: What upstreams are told of a member.
        keeper: Keeps what was asked and answered, where a group says so.
        is_own: Whether an address is that of this server.
        public_url: How people reach it, for the links that are sent to them; None: none can be built.
        mail: How mails are sent; None: they are not.
        watch: Is told what somebody should look at.
        connect: How a webhook is reached.
        alarms: How often each alarm was raised since the start.
        surroundings: What the settings say of them, for papers of data protection.
    """
    directory.on_upstreams(registry.follow)
    changes = Changes(writer, directory, person_keys)
    authority = Authority(open_endpoints=frozenset(endpoint_groups))
    shown_prices = Prices(prices, upstream)
    set_prices = PriceOverrides(changes, directory, prices, shown_prices)
    members = Members(changes, directory, ledger, database, authority)
    groups = Groups(changes, directory, ledger, default_zone, clock, authority, database)
    keys = Keys(changes, directory, ledger, database, clock)
    usage = Usage(directory, ledger, database, clock, default_zone)
    claims = Claims(changes, directory, database, clock, prices=prices, public_url=public_url)
    flag_notes = FlagNotes(changes, watch)
    flag_notes.on_flag(lambda flag: keeper.flagged(flag.request_id))
    holds = Holds(changes, directory, database)
    body_retention = BodyRetention(directory, keeper, holds, clock)
    holds.on_set(body_retention.sweep)
    request_log = RequestLog(directory, ledger, database, clock)
    flags = Flags(changes, directory, flag_notes, database, person_keys)
    appeals = Appeals(
        changes,
        directory,
        flags,
        database,
        clock,
        person_keys,
        public_url=claims.check_links_can_be_made,
    )
    mails = assemble_mails(
        way=mail,
        changes=changes,
        directory=directory,
        links={"invite": claims, "rotated": claims, "paused": appeals},
        writer=writer,
        database=database,
        clock=clock,
    )
    audit_trail = AuditTrail(directory, database, person_keys)
    claims.on_opened(mails.tell_of_claim)
    flag_notes.on_strike(mails.tell_of_strike)
    told = assemble_notices(
        directory=directory,
        changes=changes,
        ledger=ledger,
        writer=writer,
        database=database,
        clock=clock,
        registry=registry,
        sealer=sealer,
        is_own=is_own,
        connect=connect,
        mails=mails,
        alarms=alarms,
    )
    workspaces = Workspaces(changes, directory, ledger)
    identities = Identities(changes, directory, person_keys, groups, workspaces)
    papers = Papers(directory, told.subscriptions, clock, surroundings)
    claims.tell_privacy(papers.at_claiming)
    return Services(
        papers=papers,
        stating=Stating(changes, directory),
        directory=directory,
        changes=changes,
        groups=groups,
        members=members,
        grants=Grants(changes, directory, ledger, person_keys),
        rosters=Rosters(members, directory, database),
        claims=claims,
        handing_out=HandingOut(
            changes, directory, claims, identities, database, clock, public_url=public_url
        ),
        identities=identities,
        keys=keys,
        key_finding=KeyFinding(directory, keys, usage, clock),
        bulk=Bulk(changes, directory, ledger, database, clock),
        tokens=Tokens(changes, directory, clock),
        workspaces=workspaces,
        takeovers=Takeovers(changes, directory, groups, database),
        upstreams=Upstreams(
            changes, directory, registry=registry, sealer=sealer, is_own=is_own, clock=clock
        ),
        request_log=request_log,
        usage=usage,
        forecasts=Forecasts(directory, ledger, database, usage, clock),
        statements=Statements(directory, ledger, database, usage, clock),
        mine=Mine(
            ledger,
            usage,
            clock,
            prices=prices,
            endpoint_groups=endpoint_groups,
            papers=papers,
            public_url=public_url,
        ),
        self_rotation=SelfRotation(changes),
        prices=shown_prices,
        price_overrides=set_prices,
        price_refreshing=PriceRefreshing(directory, prices, set_prices),
        corrections=Corrections(changes, directory, ledger, database),
        mails=mails,
        audit_trail=audit_trail,
        webhooks=told.webhooks,
        notify=told.notify,
        notifier=told.notifier,
        server_clock=ServerClock(writer),
        log_folding=LogFolding(
            directory, ledger, FlagRetention(directory.workspace.id, writer), clock
        ),
        flag_notes=flag_notes,
        who=Who(changes, directory, person_keys, pseudonym_of),
        kept_bodies=KeptBodies(changes, directory, request_log, keeper, person_keys, holds, clock),
        body_retention=body_retention,
        body_search=BodySearch(changes, directory, keeper, person_keys, holds, clock),
        holds=holds,
        flags=flags,
        appeals=appeals,
        exporting=Exporting(
            changes,
            directory,
            database,
            person_keys,
            members=members,
            keys=keys,
            flags=flags,
            mails=mails,
            usage=usage,
            holds=holds,
            audit_trail=audit_trail,
            bodies=PersonBodies(changes, directory, keeper, person_keys, holds, clock),
            clock=clock,
        ),
        erasing=Erasing(
            changes,
            directory,
            ledger,
            database,
            person_keys,
            ErasureList.beside(database.path),
            Cleaning(writer, person_keys, keeper),
            keeper,
            holds,
            identities,
            clock,
        ),
        clock=clock,
    )


def assemble_mails(
    *,
    way: MailWay | None,
    changes: Changes,
    directory: Directory,
    links: Mapping[Kind, Links],
    writer: Writer,
    database: Database,
    clock: Clock,
) -> Mails:
    """Mails: what staff do with them, the queue, and who sends what stands in it."""
    per_day = PER_DAY_DEFAULT if way is None else way.policy.per_day
    queue = MailQueue(directory.workspace.id, writer, database, clock, per_day=per_day)
    outbox = None
    if way is not None:
        letters = Letters(way.policy, queue, directory, links)
        sender = Sender(
            queue, letters, way.smtp, clock, per_minute=way.policy.per_minute, count=way.count
        )
        outbox = Outbox(policy=way.policy, letters=letters, sender=sender)
    return Mails(changes, directory, queue, clock, outbox)
