"""Who calls: the operator by the admin token, a key that may only ask about itself (K4, K21), or anybody."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request

from tuckshop.api.problems import ProblemError
from tuckshop.api.routing import Role
from tuckshop.api.visitors import Visitors
from tuckshop.domain.actor import OPERATOR, SYSTEM, Actor
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import InvalidApiKeyError
from tuckshop.domain.keys import digest_of
from tuckshop.domain.records import Holder
from tuckshop.gateway.credential import secret_of
from tuckshop.gateway.flood import FloodGate
from tuckshop.gateway.identify import may_call
from tuckshop.services.directory import Directory

_log: Final = logging.getLogger(__name__)
_CHALLENGE = {"www-authenticate": "Bearer"}
# Of one key: what it asks about itself is read from the database, where staff and other holders wait for their turn.
ME_PER_SECOND: Final = 2
ME_BURST: Final = 60


class Access:
    """Tells the callers apart. Knows the admin token by its digest alone."""

    def __init__(
        self, admin_token: str, directory: Directory, public_url: str | None = None
    ) -> None:
        self._admin_digest = hashlib.sha256(admin_token.encode()).digest()
        self._directory = directory
        self._flood = FloodGate(per_second=ME_PER_SECOND, burst=ME_BURST)
        self._visitors = Visitors(public_url)
        self._unlogged = 0
        self._logged_us = 0

    def check(self, request: Request, role: Role, clock: Clock) -> tuple[Actor, Holder | None]:
        """
        Who makes this call.

        Raises:
            ProblemError: 401 without a credential that is known, 403 with one that may not; where none is needed, 403
                or 429 to what is no call of our own page, or one too many.
            RefusalError: The key is not active, or asks too often.
        """
        if role == "public":
            if request.method not in ("GET", "HEAD"):
                self._visitors.check(request, clock.monotonic_s())
            return SYSTEM, None
        now_us = clock.now_us()
        is_admin = self._is_admin(request)
        if role != "key":
            if is_admin:
                return OPERATOR, None
            self._note(request, now_us)
            if self._holder(request, now_us) is not None:
                raise ProblemError(
                    403,
                    "A key opens only /api/v1/me and /api/v1/me/rotate here;"
                    " this call needs the admin token.",
                )
            raise ProblemError(
                401,
                "This call needs the admin token: send it as Authorization: Bearer TOKEN. "
                "It is kept in the data folder as admin-token.",
                headers=_CHALLENGE,
            )
        if is_admin:
            raise ProblemError(403, "This call is for keys: send one as Authorization: Bearer KEY.")
        found = self._holder(request, now_us)
        if found is None:
            self._note(request, now_us)
        holder = may_call(found, now_us)
        self._flood.pass_through(holder.key.id, clock.monotonic_s())
        return Actor(kind="member", id=holder.member.id), holder

    def _note(self, request: Request, now_us: int) -> None:
        """Log who was turned away: at most once a second, so that nobody fills the disk."""
        self._unlogged += 1
        if now_us >= self._logged_us + US_PER_SECOND:
            _log.warning(
                "%d call(s) of the admin API without a credential that opens it, the last from %s",
                self._unlogged,
                request.client.host if request.client else "an unknown address",
            )
            self._unlogged, self._logged_us = 0, now_us

    def _is_admin(self, request: Request) -> bool:
        values = _values(request, b"authorization")
        if len(values) != 1:
            return False
        scheme, _, token = values[0].partition(b" ")
        # Compared by digest, in the same time whatever was sent.
        is_same = hmac.compare_digest(hashlib.sha256(token.strip()).digest(), self._admin_digest)
        return scheme.lower() == b"bearer" and is_same

    def presented(self, request: Request) -> bytes | None:
        """The digest of the key that a call carries; None: there is none that could be one."""
        try:
            secret = secret_of(request.headers.raw, foreign=self._directory.holds_foreign_keys)
        except InvalidApiKeyError:
            return None
        return digest_of(secret)

    def _holder(self, request: Request, now_us: int) -> Holder | None:
        digest = self.presented(request)
        return None if digest is None else self._directory.find(digest, now_us)


def _values(request: Request, name: bytes) -> Sequence[bytes]:
    return [value for header, value in request.headers.raw if header == name]
