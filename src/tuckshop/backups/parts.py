"""
The files that a backup consists of.

They are apart because they live for different times, and because some of them together open what none opens alone: the
ledger may be kept for a year, keys of persons for thirty days at most, kept prompts no longer than their group says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BODIES: Final = ".bodies"
PERSON_KEYS: Final = ".person-keys"
CREDENTIALS: Final = ".credentials"
ERASURES: Final = ".erasures"
PERSON_KEYS_MAX_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Parts:
    """Where each of them lies, whether it is there or not."""

    ledger: Path

    @property
    def bodies(self) -> Path:
        """Kept prompts and answers, each sealed with its person's key."""
        return self._beside(BODIES)

    @property
    def person_keys(self) -> Path:
        """The keys of persons, wrapped by a key derived from `secret-key`."""
        return self._beside(PERSON_KEYS)

    @property
    def credentials(self) -> Path:
        """`secret-key` and what is sealed with it, under a passphrase."""
        return self._beside(CREDENTIALS)

    @property
    def erasures(self) -> Path:
        """Who was erased: ids, no names."""
        return self._beside(ERASURES)

    def present(self) -> list[Path]:
        """Those at whose place there is something, a dangling link too."""
        places = (self.ledger, self.bodies, self.person_keys, self.credentials, self.erasures)
        return [place for place in places if os.path.lexists(place)]

    def _beside(self, suffix: str) -> Path:
        return self.ledger.with_name(self.ledger.name + suffix)
