"""
A group's own rules in the course of a call: when and from where it may come, what its body may say.

All of it comes before the reservation, so that a refusal holds nothing (M15). What a text was found for is written down
without the text.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from typing import Final

from tuckshop.domain.clock import Clock
from tuckshop.domain.errors import (
    DeniedContentError,
    EndpointNotAllowedError,
    NetworkNotAllowedError,
    OutsideHoursError,
    PersonalDataError,
    RefusalError,
    ServerBusyError,
)
from tuckshop.domain.flags import Flags, NewFlag
from tuckshop.domain.rules.opening_hours import is_open, opens_next
from tuckshop.domain.rules.rule_book import PII, RuleBook
from tuckshop.domain.rules.rules import Finding
from tuckshop.gateway.admission import Admission
from tuckshop.gateway.identify import Arrival
from tuckshop.protocols.json_body import Tree
from tuckshop.protocols.openai.body import BodyFacts
from tuckshop.protocols.openai.ruled import ruled, takes_system_prompt
from tuckshop.protocols.openai.table import ENDPOINTS, GROUPS

_log: Final = logging.getLogger(__name__)

BOOKS_MAX: Final = 1_024  # groups with rules that are kept ready
# What is looked through on the loop at most: two or three milliseconds; patterns at their very worst, some seventy.
TEXTS_ON_LOOP_BYTES: Final = 8 << 10
PATTERNS_ON_LOOP_BYTES: Final = 4 << 10


class HouseRules:
    """Holds the rules of groups against their calls."""

    def __init__(self, *, clock: Clock, flags: Flags, secret: bytes) -> None:
        """
        Args:
            flags: Where findings are written down.
            secret: Of the digests in flags.
        """
        self._clock = clock
        self._flags = flags
        self._secret = secret
        self._books: dict[str, RuleBook] = {}  # by group

    def let_in(self, arrival: Arrival, peer: str) -> RuleBook:
        """
        The rules that a call has to keep, whose group has some.

        Raises:
            OutsideHoursError, NetworkNotAllowedError: It may not come now, or from there.
            EndpointNotAllowedError: The group's system prompt has no place at that endpoint.
        """
        book = self._book_for(arrival)
        rules = arrival.rules = book.rules
        if not book.may_come_from(peer):
            raise NetworkNotAllowedError
        if book.hours is not None:
            now_us, zone = self._clock.now_us(), arrival.holder.group.zone.current
            if not is_open(book.hours, now_us, zone):
                raise OutsideHoursError(
                    tuple(map(str, book.hours)), opens_next(book.hours, now_us, zone), zone
                )
        endpoint = arrival.endpoint
        has_place = takes_system_prompt(endpoint) or not endpoint.generates
        if rules.system_prompt is not None and not has_place:
            taken = {row.group for row in ENDPOINTS if takes_system_prompt(row)}
            allowed = tuple(group for group in GROUPS if group in taken)
            raise EndpointNotAllowedError(endpoint.group, allowed)
        return book

    def hold(
        self, arrival: Arrival, book: RuleBook, admission: Admission, tree: Tree, facts: BodyFacts
    ) -> tuple[Tree, BodyFacts, bool]:
        """
        A body after the rules were held against it: what it says then, its facts, and whether it was changed.

        Raises:
            RefusalError: It may not be sent.
        """
        endpoint = arrival.endpoint
        after = ruled(endpoint, tree, book)
        self.take_note(arrival, after.findings)
        if after.is_changed:
            facts = admission.understand(endpoint, admission.policy_for(arrival), after.tree)
        return after.tree, facts, after.is_changed

    def take_note(self, arrival: Arrival, findings: Sequence[Finding]) -> None:
        """
        Write down what was found in the body of a call.

        Raises:
            DeniedContentError, PersonalDataError: One of them may not be sent.
        """
        for finding in findings:
            self._flags.note(self._flag(arrival, finding))
            if finding.action == "blocked":
                raise _refusal(finding)

    def _flag(self, arrival: Arrival, finding: Finding) -> NewFlag:
        holder = arrival.holder
        return NewFlag(
            workspace_id=holder.workspace.id,
            group_id=holder.group.id,
            member_id=holder.member.id,
            key_id=holder.key.id,
            request_id=arrival.request_id,
            source="rule",
            action=finding.action,
            reasons=finding.reasons,
            content=hmac.digest(self._secret, finding.digest, "sha256"),
            is_own=finding.is_own,
        )

    def _book_for(self, arrival: Arrival) -> RuleBook:
        group = arrival.holder.group
        assert group.rules is not None
        book = self._books.get(group.id)
        if book is not None and (book.rules is group.rules or book.rules == group.rules):
            return book
        try:
            book = RuleBook(group.rules)
        except ValueError as error:  # it was taken, with RE2 installed
            _log.error("a rule of group %s cannot be read: %s", group.id, error)
            raise ServerBusyError("the rules of your group cannot be read; it is logged") from error
        if len(self._books) >= BOOKS_MAX:
            del self._books[next(iter(self._books))]
        self._books[group.id] = book
        return book


def is_long(book: RuleBook, body: bytes) -> bool:
    """Would looking through *body* hold up the loop?"""
    if book.rules.deny_patterns:
        return len(body) > PATTERNS_ON_LOOP_BYTES
    return book.rules.reads_texts and len(body) > TEXTS_ON_LOOP_BYTES


def _refusal(finding: Finding) -> RefusalError:
    kinds = [reason.removeprefix(PII) for reason in finding.reasons if reason.startswith(PII)]
    if len(kinds) == len(finding.reasons):
        return PersonalDataError(tuple(kinds), finding.param)
    return DeniedContentError(finding.param)
