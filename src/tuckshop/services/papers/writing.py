"""Papers for data protection, written from what is in force when they are asked for (P5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from tuckshop import __version__
from tuckshop.domain.actor import OPERATOR, STAFF_ROLES, Actor, StaffRole
from tuckshop.domain.claim_links import LIFE_DAYS
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.globs import can_overlap
from tuckshop.domain.moderation import checks_of
from tuckshop.domain.networks import parse_address
from tuckshop.domain.privacy import NO_PROVIDER, Language, Paper
from tuckshop.domain.records import Group, Member, UpstreamRecord
from tuckshop.domain.rules.rules import NO_RULES
from tuckshop.domain.webhooks import Webhook
from tuckshop.ledger.forgetting import NETWORK_DAYS
from tuckshop.services import mail_queue, once
from tuckshop.services.directory import Directory
from tuckshop.services.erasing.rows import NAMELESS
from tuckshop.services.notices import deliveries, passing_on
from tuckshop.services.notices.subscriptions import Subscriptions
from tuckshop.services.papers.conduct import at_claiming
from tuckshop.services.papers.document import Block, gaps_in, markdown
from tuckshop.services.papers.dpia import dpia
from tuckshop.services.papers.facts import (
    Conduct,
    Facts,
    Kept,
    Surroundings,
    UpstreamFacts,
    WebhookFacts,
)
from tuckshop.services.papers.language import Tongue
from tuckshop.services.papers.notice import notice
from tuckshop.services.papers.record import record
from tuckshop.services.shapes.papers import PaperShape, WrittenPaper
from tuckshop.upstreams.base_url import parse_base_url

_DAY_US: Final = 86_400 * US_PER_SECOND
_WRITERS: Final[Mapping[Paper, Callable[[Facts, Tongue], Iterator[Block]]]] = {
    "notice": notice,
    "record": record,
    "dpia": dpia,
}
KEPT: Final = Kept(
    networks=NETWORK_DAYS,
    mails=mail_queue.KEPT_US // _DAY_US,
    notices=passing_on.KEPT_US // _DAY_US,
    deliveries=deliveries.KEPT_US // _DAY_US,
    repeats=once.KEPT_US // _DAY_US,
    links=LIFE_DAYS,
)


class Papers:
    """Writes them. Used on the loop alone."""

    def __init__(
        self,
        directory: Directory,
        subscriptions: Subscriptions,
        clock: Clock,
        surroundings: Surroundings,
    ) -> None:
        self._directory = directory
        self._subscriptions = subscriptions
        self._clock = clock
        self._surroundings = surroundings

    def of_group(
        self, actor: Actor, name_or_id: str, paper: Paper, language: Language
    ) -> WrittenPaper:
        """
        A paper about one group.

        Raises:
            NotFoundError: No such group that the actor sees.
        """
        return self._written(self._directory.group(name_or_id, actor), paper, language)

    def of_all(self, paper: Paper, language: Language) -> WrittenPaper:
        """A paper about all groups together."""
        return self._written(None, paper, language)

    def of_holder(self, group: Group, language: Language) -> WrittenPaper:
        """The notice that concerns whoever holds a key of *group*."""
        return self._written(group, "notice", language)

    def at_claiming(self, group: Group) -> list[str]:
        """What whoever picks up a key of *group* is told at once, in plain English (Art. 13 GDPR)."""
        return at_claiming(self._conduct(group, 0))

    def conduct(self, group: Group) -> Conduct:
        """What holds for the calls of *group*; without a count of its members."""
        return self._conduct(group, 0)

    def facts(self, group: Group | None) -> Facts:
        """What is in force, of *group* or of all of them."""
        every = self._directory.groups(OPERATOR)
        groups = [one for one in every if one.state != "archived"] if group is None else [group]
        members = self._directory.members_by_group([one.id for one in groups])
        stated = self._directory.workspace.privacy
        return Facts(
            made_on=_day_of(self._clock.now_us(), self._directory.workspace.zone.current),
            version=__version__,
            group=None if group is None else group.title or group.name,
            stated=stated,
            around=self._surroundings,
            kept=KEPT,
            conducts=tuple(
                self._conduct(one, sum(map(self._is_somebody, members[one.id]))) for one in groups
            ),
            archived=len(every) - len(groups) if group is None else 0,
            upstreams=self._upstreams(groups, is_all=group is None),
            webhooks=tuple(
                WebhookFacts(
                    host=urlsplit(one.url).hostname or one.url,
                    kinds=None if one.kinds is None else tuple(sorted(one.kinds)),
                )
                for one in self._subscriptions.webhooks(OPERATOR)
                if one.state == "active" and (group is None or _tells_of(one, group.id))
            ),
            staff=self._staff(group),
        )

    def _upstreams(self, groups: Sequence[Group], *, is_all: bool) -> tuple[UpstreamFacts, ...]:
        """Those that get anything of a call of *groups*; *is_all*: and those of groups to come."""
        stated = self._directory.workspace.privacy.providers
        checking = {name for group in groups for name in self._moderators(group)}
        found = []
        for one in self._directory.upstreams():
            serves = is_all or any(_may_serve(one, group.models) for group in groups)
            if one.credential_source is None or not (serves or one.name in checking):
                continue
            base = parse_base_url(one.base_url)
            found.append(
                UpstreamFacts(
                    name=one.name,
                    host=base.host,
                    is_encrypted=base.is_tls,
                    is_here=base.host == "localhost" or _is_loopback(base.host),
                    profile=one.profile,
                    provider=stated.get(one.name, NO_PROVIDER),
                    serves=serves,
                    checks=one.name in checking,
                )
            )
        return tuple(found)

    def _moderators(self, group: Group) -> tuple[str, ...]:
        """The upstreams whose moderation sees what calls of *group* say."""
        checks = checks_of(self._directory.workspace.moderation, group.moderation)
        if checks is None:
            return ()
        if checks.upstream is not None:
            return (checks.upstream,)
        return tuple(
            one.name
            for one in self._directory.upstreams()
            if one.credential_source is not None
            and one.profile != "compatible"
            and _may_serve(one, group.models)
        )

    def _written(self, group: Group | None, paper: Paper, language: Language) -> WrittenPaper:
        facts = self.facts(group)
        blocks = list(_WRITERS[paper](facts, Tongue(language)))
        shape = PaperShape(
            paper=paper,
            lang=language,
            group=None if group is None else group.name,
            made_on=facts.made_on.isoformat(),
            markdown=markdown(blocks),
            to_fill=gaps_in(blocks),
        )
        return WrittenPaper(shape=shape, blocks=blocks)

    def _conduct(self, group: Group, members: int) -> Conduct:
        told = self._subscriptions.notified(group.id)
        everywhere = self._subscriptions.notified(None)
        concerned = [one for one in (told, everywhere) if one is not None]
        checks = checks_of(self._directory.workspace.moderation, group.moderation)
        return Conduct(
            name=group.name,
            title=group.title,
            members=members,
            logging=group.logging,
            log_days=group.log_days,
            asked="off" if checks is None else checks.asked,
            answered="off" if checks is None else checks.answered,
            fails_open=checks is not None and checks.fails_open,
            passes_unreadable=checks is not None and checks.passes_unreadable,
            own_thresholds=checks is not None and any(one.thresholds for one in checks.levels),
            moderators=self._moderators(group),
            rules=group.rules or NO_RULES,
            strikes=group.strikes,
            pseudonyms=self._directory.hides_names(group.id),
            tells_members=any(one.members for one in concerned),
            told_staff=0 if told is None else len(told.mails),
        )

    def _is_somebody(self, member: Member) -> bool:
        """Whether it is known who that is; an erased person leaves a row without a name."""
        return self._directory.person(member.id).external_id != NAMELESS

    def _staff(self, group: Group | None) -> Mapping[StaffRole, int]:
        now_us = self._clock.now_us()
        counts = dict.fromkeys(STAFF_ROLES[:-1], 0)
        for token in self._directory.tokens(OPERATOR):
            is_open = token.state == "active" and (
                token.expires_at_us is None or token.expires_at_us > now_us
            )
            if is_open and (group is None or group.id in token.group_ids):
                counts[token.role] += 1
        return counts


def _is_loopback(host: str) -> bool:
    address = parse_address(host)
    return address is not None and address.is_loopback


def _may_serve(upstream: UpstreamRecord, models: tuple[str, ...] | None) -> bool:
    """Whether any model that a group may use could be served by *upstream*."""
    if upstream.models is None or models is None:
        return True
    return any(can_overlap(own, wanted) for own in upstream.models for wanted in models)


def _tells_of(webhook: Webhook, group_id: str) -> bool:
    return webhook.group_ids is None or group_id in webhook.group_ids


def _day_of(now_us: int, zone: str) -> date:
    return datetime.fromtimestamp(now_us / US_PER_SECOND, ZoneInfo(zone)).date()
