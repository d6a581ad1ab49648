"""What the gateway asks of those below it, and what it knows of upstreams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from tuckshop.domain.records import Holder
from tuckshop.domain.reservation import Granted, Hold, RefusedRow, Settlement, Void
from tuckshop.pricing.prices import PriceList
from tuckshop.protocols.endpoints import Endpoint
from tuckshop.protocols.openai.headers import Headers
from tuckshop.upstreams.registry import Upstream

DEFAULT_UPSTREAM: Final = "openai"  # the settings' one; its name stands for it while there is none


Priced = Callable[[str], bool]  # the name of an upstream → has the model a price there?


class Prices(Protocol):
    """Where prices come from."""

    @property
    def now(self) -> PriceList:
        """The list in force; the same object until there is another."""


class Directory(Protocol):
    """Who holds which key, in memory."""

    def find(self, digest: bytes, now_us: int) -> Holder | None:
        """The holder of the key with this digest, whatever its state."""

    @property
    def holds_foreign_keys(self) -> bool:
        """Is there any key that a secret of another gateway's format opens?"""


class Resolver(Protocol):
    """Where a resolution is handed over; returns at once."""

    def settle(self, settlement: Settlement) -> None:
        """Replace what is held by what was used."""

    def void(self, void: Void) -> None:
        """Give all of it back."""


class Ledger(Resolver, Protocol):
    """Where reservations live. Promises hold across tasks, processes and instances."""

    async def reserve(self, hold: Hold) -> Granted:
        """Take the hold from every limit or from none, durably (M1, M2, M3). Raises the refusal of the tightest."""

    def refuse(self, row: RefusedRow) -> None:
        """Note a refusal of a known key."""

    def pin_price(self, price_id: str, content: str) -> None:
        """Keep the price that a hold is computed with (M11)."""


class Tap(Protocol):
    """Listens to one call, whose bodies may be kept."""

    def add(self, piece: bytes) -> None:
        """A piece of the reply, as the client gets it."""

    def end(self, http_status: int | None, *, is_stream: bool) -> None:
        """The call is over, whoever got the reply."""


class Outlet(Protocol):
    """Where a reply goes: to the client, or to what stands before it. As an `Exchange` says."""

    on_disconnect: Callable[[], None] | None
    on_pause: Callable[[], None] | None
    on_resume: Callable[[], None] | None

    def start(self, status: int, headers: Headers, length: int | None = None) -> None:
        """Send the head of the reply."""

    def write(self, data: bytes) -> None:
        """Send a piece of the body."""

    def end(self, data: bytes = b"") -> None:
        """Send the last piece, if there is one; the reply is complete."""

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole reply."""

    def abort(self) -> None:
        """Cut the connection, so that the client sees an incomplete reply."""

    def release_body(self) -> None:
        """Drop the request's body."""


class BodyLog(Protocol):
    """Keeps what was said, where a group wants it. Never waits, never fails (D2)."""

    def begin(
        self, request_id: str, holder: Holder, endpoint: Endpoint, request: bytes
    ) -> Tap | None:
        """Listen to a call whose *request* is sent; None: nothing of it is kept."""

    def refused(self, request_id: str, holder: Holder, endpoint: Endpoint, request: bytes) -> None:
        """A call was not sent."""


class NoBodyLog:
    """Keeps nothing."""

    def begin(
        self, request_id: str, holder: Holder, endpoint: Endpoint, request: bytes
    ) -> Tap | None:
        """None."""
        return None

    def refused(self, request_id: str, holder: Holder, endpoint: Endpoint, request: bytes) -> None:
        """Nothing."""


class Upstreams(Protocol):
    """Where calls go."""

    def get(self, name: str) -> Upstream | None:
        """The upstream of this name, as it is now."""

    def named_in(self, asked: str) -> Upstream | None:
        """The upstream that *asked* names before a slash."""

    def serving(self, model: str, priced: Priced) -> Upstream | None:
        """The first that serves *model* and for whose name *priced* is true."""

    def lists(self, model: str) -> bool:
        """Does any name *model* itself among those that it serves?"""

    @property
    def is_usable(self) -> bool:
        """Can any be called?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamManners:
    """How upstreams are spoken to, whichever it is."""

    pseudonym_of: Callable[[str], str]  # member id → what an upstream may know of them (P3)
    gap_s: float  # the longest silence within a reply
    reasoning_gap_s: float  # the same of a model that reasons
