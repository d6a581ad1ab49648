"""
The two languages that papers are written in.

Every sentence is written in both, side by side, behind the one condition that it depends on: so no fact can be told in
one language and be missing in the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from tuckshop.domain.privacy import Language
from tuckshop.services.papers.document import gap, said

_ROLES: Final = {
    "viewer": ("viewers (who see use and costs)", "Einsichtsberechtigte (Rolle „viewer“)"),
    "assistant": ("assistants", "Assistenz (Rolle „assistant“)"),
    "owner": ("owners of the group", "Verantwortliche der Gruppe (Rolle „owner“)"),
    "operator": ("the operator of the server", "Betreiber des Servers (Rolle „operator“)"),
}

_MONTHS: Final = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
]


class Tongue:
    """Picks the language, and says numbers and lists in it."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, en: str, de: str) -> str:
        """The one of both."""
        return en if self.language == "en" else de

    def days(self, count: int) -> str:
        """``30 days``."""
        return self(_counted(count, "day", "days"), _counted(count, "Tag", "Tage"))

    def members(self, count: int) -> str:
        """``98 members``."""
        return self(_counted(count, "member", "members"), _counted(count, "Mitglied", "Mitglieder"))

    def groups(self, count: int) -> str:
        """``2 groups``; the German form is that behind ``in`` or ``von``."""
        return self(_counted(count, "group", "groups"), _counted(count, "Gruppe", "Gruppen"))

    def date(self, day: date) -> str:
        """``2026-11-25``, as each language writes it."""
        return self(day.isoformat(), f"{day.day}. {_MONTHS[day.month - 1]} {day.year}")

    def after_days(self, count: int) -> str:
        """``after 30 days``."""
        return self(
            f"after {_counted(count, 'day', 'days')}",
            f"nach {_counted(count, 'Tag', 'Tagen')}",
        )

    def listed(self, words: Sequence[str]) -> str:
        """``a, b and c``."""
        if len(words) < 2:
            return "".join(words)
        return f"{', '.join(words[:-1])} {self('and', 'und')} {words[-1]}"

    def fill(self, en: str, de: str) -> str:
        """What somebody has to fill in, and sees that they have to."""
        return gap(self(f"[to fill in: {en}]", f"[auszufüllen: {de}]"))

    def given(self, value: str, en: str, de: str) -> str:
        """What the operator stated, or the gap that it leaves."""
        return said(value) if value else self.fill(en, de)

    def role(self, role: str) -> str:
        """Staff of a role, in the plural."""
        return self(*_ROLES[role])


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
