"""What tells of what happens, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tuckshop.domain.clock import Clock
from tuckshop.ledger.ledger import Ledger
from tuckshop.services.changes import Changes
from tuckshop.services.directory import Directory
from tuckshop.services.mails import Mails
from tuckshop.services.notices.budgets import Budgets
from tuckshop.services.notices.deliveries import Deliveries
from tuckshop.services.notices.mailing import NoticeMails
from tuckshop.services.notices.notifier import Notifier
from tuckshop.services.notices.notify import Notify
from tuckshop.services.notices.passing_on import PassingOn
from tuckshop.services.notices.refused_calls import RefusedCalls
from tuckshop.services.notices.sending import WebhookSender
from tuckshop.services.notices.spending import Spending
from tuckshop.services.notices.subscriptions import Subscriptions
from tuckshop.services.notices.watching import Watching
from tuckshop.services.notices.webhooks import Webhooks
from tuckshop.storage.database import Database
from tuckshop.storage.sealing import Sealer
from tuckshop.storage.writer import Writer
from tuckshop.upstreams.base_url import BaseUrl
from tuckshop.upstreams.posting import Connect
from tuckshop.upstreams.registry import UpstreamRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """What others need of it."""

    webhooks: Webhooks
    notify: Notify
    notifier: Notifier
    subscriptions: Subscriptions


def assemble_notices(
    *,
    directory: Directory,
    changes: Changes,
    ledger: Ledger,
    writer: Writer,
    database: Database,
    clock: Clock,
    registry: UpstreamRegistry,
    sealer: Sealer,
    is_own: Callable[[BaseUrl], bool],
    connect: Connect,
    mails: Mails,
    alarms: Callable[[], Mapping[str, int]],
) -> Notices:
    """All of it over one database; the arguments are those of `services.assembly.assemble`."""
    workspace_id = directory.workspace.id
    subscriptions = Subscriptions(database, workspace_id, can_mail=mails.is_set_up)
    deliveries = Deliveries(workspace_id, writer, database)
    sender = WebhookSender(subscriptions, deliveries, sealer=sealer, connect=connect, clock=clock)
    watching = Watching(
        subscriptions,
        directory,
        registry,
        budgets=Budgets(directory, ledger, database, clock),
        refused=RefusedCalls(database, workspace_id, clock),
        spending=Spending(database, workspace_id, clock),
        alarms=alarms,
        writer=writer,
        clock=clock,
    )
    passing_on = PassingOn(
        workspace_id,
        subscriptions,
        deliveries,
        NoticeMails(workspace_id, mails.language),
        directory,
        writer,
        database,
    )
    return Notices(
        subscriptions=subscriptions,
        webhooks=Webhooks(
            changes,
            directory,
            subscriptions,
            deliveries,
            sender,
            sealer=sealer,
            is_own=is_own,
            clock=clock,
        ),
        notify=Notify(changes, directory, subscriptions),
        notifier=Notifier(
            subscriptions, watching, passing_on, deliveries, sender, clock, wake_mails=mails.wake
        ),
    )
