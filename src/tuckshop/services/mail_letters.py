"""Writing a mail's letter: to whom, what stands for each placeholder, and the link, made now and kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from tuckshop.domain.actor import SYSTEM, Actor
from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.errors import NotFoundError, ServerBusyError, TuckshopError
from tuckshop.domain.pseudonyms import Person
from tuckshop.domain.records import Member
from tuckshop.mailing.address import Mailbox, may_be_written_to, one_line, parse_address
from tuckshop.mailing.message import Letter
from tuckshop.mailing.policy import Language, MailPolicy
from tuckshop.mailing.sender import Taken, UnwrittenLetterError
from tuckshop.services.directory import Directory
from tuckshop.services.mail_queue import MailQueue, kind_of
from tuckshop.services.mail_templates import WITH_LINK, Kind, Template
from tuckshop.services.notices.wording import lines_of, shown_facts, subject_of
from tuckshop.services.standing import limits_of_member

LINK_DAYS: Final = 14
HIDDEN_DOMAIN: Final = "hidden.invalid"  # of addresses shown in place of hidden ones
_NONE: Final = "-"


class Link(Protocol):
    """A link that opens once."""

    @property
    def url(self) -> str:
        """The address, secret and all."""

    @property
    def expires_at_us(self) -> int:
        """Until when it opens."""


class Links(Protocol):
    """Makes links."""

    async def new_link(self, actor: Actor, member_id: str) -> Link:
        """A link for a member; those made before are void. Raises what says why there is none."""


class UnwritableAddressError(TuckshopError):
    """Nobody may be written to at this address; says why."""


class Letters:
    """Writes letters. Keeps the promises of `mailing.sender.Writer`."""

    def __init__(
        self,
        policy: MailPolicy,
        queue: MailQueue,
        directory: Directory,
        links: Mapping[Kind, Links],
    ) -> None:
        """*links*: for every kind of mail that has one, who makes it."""
        self._policy = policy
        self._queue = queue
        self._directory = directory
        self._links = links

    async def write(self, taken: Taken) -> Letter:
        """
        The letter of a mail that is about to be sent, with a link of its own where it has one.

        Raises:
            UnwrittenLetterError: The member is archived, may not be written to any more, or gets no link.
            ServerBusyError: Not now.
        """
        kind = kind_of(taken.kind)
        template = await self._queue.template(taken.template, kind)
        try:
            address = self.checked(taken.recipient)
        except UnwritableAddressError as error:
            raise UnwrittenLetterError(str(error)) from None
        if kind == "notice":
            return self._letter(Mailbox(address), template.filled(await self._told_by(taken)))
        if taken.member_id is None:
            return self._letter(Mailbox(address), template.filled(self._common()))
        member = next(iter(self._directory.known_members([taken.member_id])), None)
        if member is None or member.state == "archived":
            raise UnwrittenLetterError("the member was archived")
        person = self._directory.person(member.id)
        values = self.values_of(member, person, at_us=taken.queued_at_us)
        if kind == "budget":
            values |= _budget_of((await self._notices_of(taken))[-1])
        url = None
        if kind in WITH_LINK:
            try:
                link = await self._links[kind].new_link(SYSTEM, member.id)
            except ServerBusyError:
                raise
            except TuckshopError as error:
                raise UnwrittenLetterError(str(error)) from None
            url = link.url
            values |= {"link": url, "expires": self._told_time(member, link.expires_at_us)}
        recipient = Mailbox(address, one_line(person.name or ""))
        return self._letter(recipient, template.filled(values), link=url)

    def preview(self, member: Member, template: Template, *, now_us: int) -> Letter:
        """
        The same as it would be sent to *member* now, with a link that opens nothing.

        Where the group hides who its members are, it is written as if the pseudonym were all there is.

        Raises:
            UnwritableAddressError: They have no address that may be written to.
        """
        person = self._directory.person(member.id)
        address = self.checked(person.email)
        if self._directory.hides_names(member.group_id):
            person = Person(external_id=member.external_id, name=None, email=None)
            address = f"{member.external_id}@{HIDDEN_DOMAIN}"
        expires_us = now_us + LINK_DAYS * 86_400 * US_PER_SECOND
        values = self.values_of(member, person, at_us=now_us) | {
            "link": f"{(self._policy.public_url or '').rstrip('/')}/claim/#EXAMPLE",
            "expires": self._told_time(member, expires_us),
        }
        recipient = Mailbox(address, one_line(person.name or ""))
        return self._letter(recipient, template.filled(values))

    def checked(self, address: str | None) -> str:
        """
        *address* as it is written to.

        Raises:
            UnwritableAddressError: It is none, or of a domain that is not allowed.
        """
        if not address:
            raise UnwritableAddressError("has no e-mail address")
        try:
            parsed = parse_address(address)
        except ValueError as error:
            raise UnwritableAddressError(f"{address} {error}") from None
        domain = parsed.rpartition("@")[2]
        if not may_be_written_to(domain, self._policy.domains):
            raise UnwritableAddressError(f"{domain} is not one of TUCKSHOP_MAIL_DOMAINS")
        return parsed

    def values_of(self, member: Member, person: Person, *, at_us: int) -> dict[str, str]:
        """What stands for the placeholders, but for those of the link. One line each, plain text."""
        group = self._directory.group_of(member)
        limits = [
            str(found.limit)
            for found in limits_of_member(member, group, self._directory.workspace)
            if found.scope.kind == "member"
        ]
        models = member.models if member.models is not None else group.models
        found = {
            "name": person.name or person.external_id,
            "external_id": person.external_id,
            "course": group.title or group.name,
            "limits": "; ".join(limits) or _NONE,
            "models": _NONE if models is None else ", ".join(models),
            "at": self._told_time(member, at_us),
        }
        return {name: one_line(value) for name, value in found.items()} | self._common()

    async def _notices_of(self, taken: Taken) -> Sequence[Mapping[str, Any]]:
        found = await self._queue.told_by(taken.id)
        if not found:
            raise UnwrittenLetterError("what it was to tell of was deleted")
        return found

    async def _told_by(self, taken: Taken) -> dict[str, str]:
        """What stands for the placeholders of a mail to staff."""
        found = await self._notices_of(taken)
        language: Language = "de" if taken.template == "de" else "en"
        course, zone = "Tuckshop", self._directory.workspace.zone.current
        if (group_id := found[0]["group_id"]) is not None:
            try:
                group = self._directory.group(group_id, SYSTEM)
            except NotFoundError as error:
                raise UnwrittenLetterError(str(error)) from None
            course, zone = one_line(group.title or group.name), group.zone.current
        return {
            "course": course,
            "what": subject_of(found, language),
            "events": lines_of(found, language, zone),
            **self._common(),
        }

    def _common(self) -> dict[str, str]:
        base = self._policy.public_url
        return {
            "base_url": _NONE if base is None else f"{base.rstrip('/')}/v1",
            "contact": self._policy.contact or self._policy.sender.address,
        }

    def _told_time(self, member: Member, at_us: int) -> str:
        zone = self._directory.group_of(member).zone.current
        at = datetime.fromtimestamp(at_us // US_PER_SECOND, UTC).astimezone(ZoneInfo(zone))
        return f"{at:%Y-%m-%d %H:%M} ({zone})"

    def _letter(self, recipient: Mailbox, filled: Template, *, link: str | None = None) -> Letter:
        return Letter(
            sender=self._policy.sender,
            reply_to=self._policy.contact,
            recipient=recipient,
            subject=filled.subject,
            text=filled.text,
            secret=None if link is None else link.partition("#")[2] or link,
        )


def _budget_of(notice: Mapping[str, Any]) -> dict[str, str]:
    facts = shown_facts(notice)
    return {
        "limit": facts["limit"],
        "percent": facts["percent"],
        "used": facts["used_usd"],
        "amount": facts["amount_usd"],
        "renews": facts["resets_at"],
    }
