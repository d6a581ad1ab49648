"""Who calls: staff by their tokens, a key that may only ask about itself (K4, K21), or anybody."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence
from typing import Final, NoReturn

from starlette.requests import Request

from tuckshop.api.problems import ProblemError
from tuckshop.api.routing import Role
from tuckshop.api.visitors import Visitors
from tuckshop.domain.actor import OPERATOR, STAFF_ROLES, SYSTEM, Actor, StaffRole
from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.errors import InvalidApiKeyError
from tuckshop.domain.keys import digest_of, is_well_formed_for_staff
from tuckshop.domain.records import Holder, StaffToken
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
            ProblemError: 401 without a credential that is known and open, 403 with one that may not; where none is
                needed, 403 or 429 to what is no call of our own page, or one too many.
            RefusalError: The key is not active, or asks too often.
        """
        if role == "public":
            if request.method not in ("GET", "HEAD"):
                self._visitors.check(request, clock.monotonic_s())
            return SYSTEM, None
        now_us = clock.now_us()
        staff = self._staff(request, now_us)
        if role != "key":
            if staff is None:
                self._refuse_no_staff(request, role, now_us)
            if not staff.is_at_least(role):
                raise ProblemError(403, _lesser(staff, role))
            return staff, None
        if staff is not None:
            raise ProblemError(403, "This call is for keys: send one as Authorization: Bearer KEY.")
        found = self._holder(request, now_us)
        if found is None:
            self._note(request, now_us)
        holder = may_call(found, now_us)
        self._flood.pass_through(holder.key.id, clock.monotonic_s())
        return Actor(kind="member", id=holder.member.id), holder

    def _staff(self, request: Request, now_us: int) -> Actor | None:
        """
        The operator, or other staff by a token that is open.

        Raises:
            ProblemError: The token was revoked, or its time is over.
        """
        bearer = _bearer_of(request)
        # Compared by digest, in the same time whatever was sent.
        if hmac.compare_digest(hashlib.sha256(bearer).digest(), self._admin_digest):
            return OPERATOR
        secret = bearer.decode("latin-1")
        if not is_well_formed_for_staff(secret):
            return None
        token = self._directory.find_token(digest_of(secret))
        if token is None:
            return None
        if token.state == "revoked":
            raise ProblemError(401, _closed("was revoked"), headers=_CHALLENGE)
        if token.expires_at_us is not None and token.expires_at_us <= now_us:
            raise ProblemError(401, _closed("has expired"), headers=_CHALLENGE)
        return _actor_of(token)

    def _refuse_no_staff(self, request: Request, role: StaffRole, now_us: int) -> NoReturn:
        self._note(request, now_us)
        if self._holder(request, now_us) is not None:
            raise ProblemError(
                403,
                "A key opens only /api/v1/me and what is below it here; this call needs a token of staff.",
            )
        needed = "the admin token" if role == "operator" else "the admin token, or a token of staff"
        raise ProblemError(
            401,
            f"This call needs {needed}: send it as Authorization: Bearer TOKEN. "
            "The admin token is kept in the data folder as admin-token.",
            headers=_CHALLENGE,
        )

    def _note(self, request: Request, now_us: int) -> None:
        """Log who was turned away: at most once a second, so that nobody fills the disk (K15)."""
        self._unlogged += 1
        if now_us >= self._logged_us + US_PER_SECOND:
            _log.warning(
                "%d call(s) of the admin API without a credential that opens it, the last from %s",
                self._unlogged,
                request.client.host if request.client else "an unknown address",
            )
            self._unlogged, self._logged_us = 0, now_us

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


def _actor_of(token: StaffToken) -> Actor:
    return Actor(kind="token", id=token.id, role=token.role, groups=token.group_ids)


def _lesser(staff: Actor, role: StaffRole) -> str:
    """What is held, what is needed, and who has it."""
    able = STAFF_ROLES[STAFF_ROLES.index(role) :]
    held = f"This call needs the role {role}, and your token has the role {staff.role}."
    if able == ("operator",):
        return f"{held} The operator can do it."
    return f"{held} Ask for it: {', '.join(able[:-1])} of the group, or the operator."


def _closed(how: str) -> str:
    return f"This token {how}. Ask who gave it to you, or the operator, for another one."


def _bearer_of(request: Request) -> bytes:
    """The bearer token that the call carries, alone and in its place; else nothing."""
    values = _values(request, b"authorization")
    if len(values) != 1:
        return b""
    scheme, _, token = values[0].partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _values(request: Request, name: bytes) -> Sequence[bytes]:
    return [value for header, value in request.headers.raw if header == name]
