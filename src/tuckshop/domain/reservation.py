"""The life of a reservation: what is asked to be held, what was granted, how it ends."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from tuckshop.domain.limits import Limit, Metric, Rolling
from tuckshop.domain.windows import ZoneHistory

ScopeKind = Literal["key", "member", "group", "workspace", "upstream"]


class ReservationState(StrEnum):
    """Where a request row stands. `refused` and `blocked` rows never held anything at their end."""

    RESERVED = "reserved"
    SETTLED = "settled"
    VOIDED = "voided"
    REFUSED = "refused"
    BLOCKED = "blocked"


TRANSITIONS: Final[Mapping[ReservationState, Set[ReservationState]]] = {
    # Counts at what it holds. Every way out of here is taken exactly once (M6).
    ReservationState.RESERVED: frozenset(
        {ReservationState.SETTLED, ReservationState.VOIDED, ReservationState.BLOCKED}
    ),
    ReservationState.SETTLED: frozenset(),  # counts at what was used; corrections are rows of their own (M7)
    ReservationState.VOIDED: frozenset(),  # counts for nothing
    ReservationState.REFUSED: frozenset(),
    ReservationState.BLOCKED: frozenset(),
}

Flag = Literal[
    "estimated",  # charged by what was computed
    "unconfirmed",  # charged at its bound, because nobody knows what it used
    "clamped",  # its output cap was lowered
    "client_left",
    "unchecked",  # it went out although not all of it could be checked
]


@dataclass(frozen=True, slots=True)
class Scope:
    """Anything that has a limit. A group's `each` limits count at its members' scopes."""

    kind: ScopeKind
    id: str


@dataclass(frozen=True, slots=True)
class CarryOver:
    """A group's `carry_over`: how much of its money a window may leave to the next one, and since when."""

    most: int  # nano-USD
    since_us: int  # windows that ended before then leave nothing


class LimitState(NamedTuple):
    """
    A limit and how it stands; `used` and the rest are in the metric's unit (nano-USD for money).

    A tuple, because a call may make one per limit, and a frozen dataclass takes three times as long to make.
    """

    limit: Limit
    scope: Scope
    used: int
    reserved: int
    resets_at_us: int | None  # None: `total`. Rolling: when all is free again
    amounts_visible: bool
    zone_name: str = "UTC"  # in which the holder is told when it renews
    lift: int = 0  # how far above its amount it may go: grants, and what was carried over

    @property
    def remaining(self) -> int:
        """What is left, never below 0 (a limit may have been lowered below what is used)."""
        return max(0, self.limit.amount + self.lift - self.used - self.reserved)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitInForce:
    """A limit that holds for a call, with the counter it takes from."""

    scope: Scope
    limit: Limit
    zone: ZoneHistory
    amounts_visible: bool  # False: the holder is told the scope and when it renews, no amounts
    carry: CarryOver | None = None  # of a limit that `is_liftable`, and renews

    @property
    def is_liftable(self) -> bool:
        """Is it the kind that a grant adds to: a member's money, per calendar window or in total?"""
        return (
            self.scope.kind == "member"
            and self.limit.metric is Metric.MONEY
            and not isinstance(self.limit.window, Rolling)
        )

    def state(
        self, used: int, reserved: int, resets_at_us: int | None, lift: int = 0
    ) -> LimitState:
        """This limit, standing at these amounts."""
        return LimitState(
            self.limit,
            self.scope,
            used,
            reserved,
            resets_at_us,
            self.amounts_visible,
            self.zone.current,
            lift,
        )


# How a limit stands, in numbers alone: used, reserved, when it renews, and its lift, as in `LimitState`.
Reading: TypeAlias = tuple[int, int, int | None, int]


class CapWish(msgspec.Struct, frozen=True, kw_only=True):
    """How many output tokens a call asks for, per choice. All zero where nothing is generated."""

    wanted: int | None  # None: the client named no cap
    greatest: int  # the least of model maximum and policy cap
    least: int  # the floor below which the call is refused; never above min(wanted, greatest)
    choices: int = 1


class HoldTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the hold is computed with; pinned by `price_id` for the settlement (M11)."""

    price_id: str
    input_nano_per_million: int  # the dearest input rate that can apply
    output_nano_per_million: int
    fees_nano: int = 0


class AtBest(NamedTuple):
    """What a hold might come to if its input were counted exactly: a guess whether that is worth while, no bound."""

    input_tokens: int
    terms: HoldTerms


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A call that wants to be admitted: the fixed part, and the cap it would like."""

    request_id: str
    workspace_id: str
    group_id: str
    member_id: str
    key_id: str
    directory_version: int  # of the directory that identified the call
    limits: tuple[LimitInForce, ...]  # every one whose selector matches this call
    endpoint: str  # `chat.completions`
    endpoint_group: str  # `chat`
    model: str  # resolved id, without upstream prefix; "" where the endpoint has none
    model_aliases: tuple[str, ...]  # names whose limits cover this model too (its undated base)
    upstream: str
    terms: HoldTerms
    input_tokens: int  # bound
    images: int
    cap: CapWish
    patience_s: float
    tag: str | None = None
    at_best: AtBest | None = None  # None: `input_tokens` is as exact as it gets
    network: bytes | None = None  # digest of the one it came from (P12)


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one request counts, per metric. Requests count 1 in every state but voided."""

    cost_nano: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    images: int = 0

    def of(self, metric: Metric) -> int:
        """The amount in *metric*'s unit; 1 for requests and for concurrency."""
        match metric:
            case Metric.MONEY:
                return self.cost_nano
            case Metric.TOKENS:
                return self.input_tokens + self.output_tokens
            case Metric.INPUT_TOKENS:
                return self.input_tokens
            case Metric.OUTPUT_TOKENS:
                return self.output_tokens
            case Metric.IMAGES:
                return self.images
            case Metric.REQUESTS | Metric.CONCURRENCY:
                return 1


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation, committed and synced: the call may be dispatched (M3)."""

    request_id: str
    position: int
    at_us: int  # admission time: the windows it counts in
    cap: int  # output tokens granted, per choice
    lowered_by: Limit | None  # the limit that lowered the cap below what was wanted or possible
    held: Amounts
    limits: tuple[LimitInForce, ...]  # those taken from
    readings: tuple[Reading, ...]  # how each of them stands, this hold included
    queue_ms: int  # how long it waited for held amounts


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the row says about how a call went, whatever it was charged."""

    http_status: int | None
    first_byte_ms: int | None = None
    duration_ms: int | None = None
    upstream_request_id: str | None = None
    error: str | None = None


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """Replace what is held by what was used."""

    request_id: str
    charged: Amounts
    cached_tokens: int
    outcome: Outcome
    flags: frozenset[Flag] = msgspec.field(default_factory=frozenset)


class Void(msgspec.Struct, frozen=True, kw_only=True):
    """Give all of it back: the upstream surely billed nothing (M10)."""

    request_id: str
    outcome: Outcome
    flags: frozenset[Flag] = msgspec.field(default_factory=frozenset)
    state: Literal[ReservationState.VOIDED, ReservationState.BLOCKED] = ReservationState.VOIDED


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal of a known key, for the log. Counts nowhere; repeats within a second share one row."""

    request_id: str
    workspace_id: str
    group_id: str
    member_id: str
    key_id: str
    endpoint: str
    model: str
    error: str  # the refusal's code
    http_status: int
    tag: str | None = None
    network: bytes | None = None  # digest of the one it came from (P12)
