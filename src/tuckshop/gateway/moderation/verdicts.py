"""Verdicts of a while ago: what was judged needs not be judged again, as long as it says the same."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, Literal

from tuckshop.domain.clock import Clock
from tuckshop.domain.moderation import Judged

KEPT_MAX: Final = 10_000  # some 10 MB
KEPT_S: Final = 3_600.0  # the service learns, too

Digest = bytes
Kind = Literal["text", "picture"]  # a picture's address is judged as a text where it stands as one


class Verdicts:
    """
    By keyed digests of what was judged, so that nothing here tells what it was.

    Args:
        secret: Of this purpose alone.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._kept: dict[Digest, tuple[float, Judged]] = {}  # until when; the oldest first

    def digest_of(self, service: str, content: str, *, kind: Kind = "text") -> Digest:
        """What *content*, judged as such by the upstream *service*, is known by."""
        said = f"{kind}\0{service}\0{content}".encode()
        return hmac.digest(self._secret, said, hashlib.sha256)[:16]

    def find(self, digest: Digest) -> Judged | None:
        """The verdict, if there is one that still counts."""
        known = self._kept.get(digest)
        if known is None:
            return None
        until_s, judged = known
        if self._clock.monotonic_s() >= until_s:
            del self._kept[digest]
            return None
        return judged

    def keep(self, digest: Digest, judged: Judged) -> None:
        """Remember it for a while."""
        self._kept.pop(digest, None)
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[digest] = self._clock.monotonic_s() + KEPT_S, judged

    def __len__(self) -> int:
        """How many are kept, those whose time is over too."""
        return len(self._kept)
