"""Rules made ready to be held against calls; made once, for as long as they stay the same."""

from __future__ import annotations

import hashlib
from typing import Final

from tuckshop.domain.globs import matches
from tuckshop.domain.networks import parse_address, parse_network
from tuckshop.domain.rules.deny_list import DenyList
from tuckshop.domain.rules.deny_patterns import DenyPatterns
from tuckshop.domain.rules.opening_hours import parse_hours
from tuckshop.domain.rules.personal_data import Found, find
from tuckshop.domain.rules.rules import Finding, Rules

PII: Final = "pii."  # before the kind, in the name of a rule


class Look:
    """What the rules say of one text."""

    __slots__ = ("found", "reasons")

    def __init__(self, reasons: list[str], found: list[Found]) -> None:
        self.reasons = reasons  # for which it is denied
        self.found = found  # personal data in it


_NOTHING: Final = Look([], [])


class RuleBook:
    """The rules of a group, compiled."""

    def __init__(self, rules: Rules) -> None:
        """
        Raises:
            PatternError, ValueError: A rule cannot be read. What the admin API took can be, while RE2 is installed.
        """
        self.rules = rules
        self._words = DenyList(rules.deny_words)
        self._patterns = DenyPatterns(rules.deny_patterns)
        self.hours = None if rules.hours is None else tuple(map(parse_hours, rules.hours))
        self._networks = (
            None if rules.networks is None else tuple(map(parse_network, rules.networks))
        )

    def may_come_from(self, peer: str) -> bool:
        """May calls come from this address?"""
        if self._networks is None:
            return True
        address = parse_address(peer)
        return address is not None and any(address in network for network in self._networks)

    def may_offer(self, tool: object) -> bool:
        """May a tool of this name be offered?"""
        tools = self.rules.tools
        if tools is None:
            return True
        return isinstance(tool, str) and any(matches(glob, tool) for glob in tools)

    def look_at(self, text: str) -> Look:
        """What stands in *text* that a rule is about."""
        rules = self.rules
        reasons: list[str] = []
        if rules.deny_words and self._words.is_in(text):
            reasons.append("deny_words")
        if rules.deny_patterns and self._patterns.is_in(text):
            reasons.append("deny_patterns")
        found = find(text, rules.pii) if rules.pii else []
        return Look(reasons, found) if reasons or found else _NOTHING

    def redacted(self, text: str, found: list[Found]) -> str:
        """*text* with a word for each piece of personal data that may not be sent."""
        pieces: list[str] = []
        end = 0
        for one in found:
            if self.rules.pii[one.kind] == "redact":
                pieces += (text[end : one.start], f"[{one.kind}]")
                end = one.end
        return "".join((*pieces, text[end:]))

    def finding(
        self, text: str, look: Look, *, is_own: bool, param: str, may_redact: bool = True
    ) -> Finding:
        """
        What is to be written down of *text*.

        Args:
            may_redact: Otherwise what would be redacted is blocked: it stands where nothing can be replaced.
        """
        actions = {self.rules.pii[one.kind] for one in look.found}
        is_blocked = look.reasons or "block" in actions or ("redact" in actions and not may_redact)
        return Finding(
            reasons=(*look.reasons, *sorted({PII + one.kind for one in look.found})),
            action="blocked" if is_blocked else "redacted" if "redact" in actions else "noted",
            digest=hashlib.sha256(text.encode()).digest(),
            is_own=is_own,
            param=param,
        )
