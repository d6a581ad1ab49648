"""
What is granted: pure arithmetic over one hold and how the limits it meets stand.

A hold has a fixed part (the input bound, fees, the call itself) and an output cap that may be lowered. Every limit
tells the largest cap that fits into it; the least of these is granted, unless it is below the floor. Then:

- what is *used* leaves no room: refused;
- only what running calls *hold* is missing: the call waits for their settlement.

A limit from which a call takes nothing never stands in its way, whatever its state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

import msgspec

from tuckshop.domain.limits import Metric
from tuckshop.domain.reservation import Amounts, Hold, LimitInForce

PER_MILLION: Final = 1_000_000  # prices are per so many tokens
QUARTER_MIN_TOKENS: Final = 1_024  # a call without a wish holds a quarter, while that buys so many
UNBOUNDED: Final = 2**62  # the cap does not matter to this limit
NO_FIT: Final = -1  # not even the fixed part fits

# Metrics as places in an amounts vector: the hot path adds integers and asks no enum.
MONEY, REQUESTS, TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, IMAGES, CONCURRENCY = range(7)
SLOT_OF: Final[dict[str, int]] = {
    Metric.MONEY: MONEY,
    Metric.REQUESTS: REQUESTS,
    Metric.TOKENS: TOKENS,
    Metric.INPUT_TOKENS: INPUT_TOKENS,
    Metric.OUTPUT_TOKENS: OUTPUT_TOKENS,
    Metric.IMAGES: IMAGES,
    Metric.CONCURRENCY: CONCURRENCY,
}

_SINGLE: Final = frozenset((REQUESTS, CONCURRENCY))  # a call takes one

Vector: TypeAlias = tuple[int, int, int, int, int, int, int]
NOTHING: Final[Vector] = (0, 0, 0, 0, 0, 0, 0)


class Standing(NamedTuple):
    """A limit that a hold meets, and its counter at this moment."""

    limit: LimitInForce
    slot: int
    used: int
    held: int
    lift: int = 0  # how far above its amount it may go

    @property
    def amount(self) -> int:
        """What may be used and held together."""
        return self.limit.limit.amount + self.lift


class Grant(msgspec.Struct, frozen=True):
    """It fits with this cap."""

    cap: int
    lowered_by: LimitInForce | None
    held: Amounts


class Reason(Enum):
    """Why what is used leaves no room."""

    NEVER_FITS = "more tokens or images than the limit has when it is empty"
    QUOTA = "money"
    RATE = "requests, tokens, images or calls at the same time"


@dataclass(frozen=True, slots=True)
class Refuse:
    """What is used leaves no room, in each of these limits."""

    by: tuple[tuple[Reason, Standing], ...]
    needed: Vector  # of the least that the call takes, per metric


@dataclass(frozen=True, slots=True)
class Wait:
    """It would fit once running calls settle: these limits are full of what they hold."""

    for_: tuple[Standing, ...]


Decision: TypeAlias = Grant | Refuse | Wait


def decide(hold: Hold, standings: Sequence[Standing]) -> Decision:
    """What becomes of *hold* when the limits it meets stand as *standings*."""
    cap_wish = hold.cap
    least, choices = cap_wish.least, cap_wish.choices
    terms = hold.terms
    tokens_in = hold.input_tokens
    fixed = tokens_in * terms.input_nano_per_million + terms.fees_nano * PER_MILLION
    per_cap = choices * terms.output_nano_per_million
    wanted = cap_wish.wanted
    target = most_of(hold)
    quarter_min = max(QUARTER_MIN_TOKENS, least)

    cap = target
    lowered_by: LimitInForce | None = None
    full: list[Standing] | None = None
    missing: list[Standing] | None = None
    for standing in standings:
        limit, slot, used, held, lift = standing
        amount = limit.limit.amount + lift
        room = amount - used - held
        # The largest cap that fits into `room`, written out: this is the innermost loop of admission.
        if slot == MONEY:
            if per_cap and target:
                fit = (room * PER_MILLION - fixed) // per_cap
            else:
                fit = UNBOUNDED if not fixed or room * PER_MILLION >= fixed else NO_FIT
        elif slot in _SINGLE:
            fit = UNBOUNDED if room >= 1 else NO_FIT
        elif slot == TOKENS:
            if target:
                fit = (room - tokens_in) // choices
            else:
                fit = UNBOUNDED if not tokens_in or room >= tokens_in else NO_FIT
        elif slot == OUTPUT_TOKENS:
            fit = room // choices if target else UNBOUNDED
        elif slot == INPUT_TOKENS:
            fit = UNBOUNDED if not tokens_in or room >= tokens_in else NO_FIT
        else:
            fit = UNBOUNDED if not hold.images or room >= hold.images else NO_FIT

        if fit < least or fit < 0:
            if fit_without_holds(hold, slot, amount - used) < least:
                full = [*(full or ()), standing]
            else:
                missing = [*(missing or ()), standing]
            continue
        if wanted is None and fit < UNBOUNDED:
            # So that one call never holds a whole month.
            if slot == MONEY:
                quarter = (room // 4 * PER_MILLION - fixed) // per_cap
            elif slot == TOKENS:
                quarter = (room // 4 - tokens_in) // choices
            else:
                quarter = room // 4 // choices
            fit = min(fit, max(quarter, quarter_min))
        if fit < cap:
            cap, lowered_by = fit, limit

    if full is not None:
        needed = vector_of(amounts_at(hold, least))
        return Refuse(tuple((_reason(standing, needed), standing) for standing in full), needed)
    if missing is not None:
        return Wait(tuple(missing))
    return Grant(cap, lowered_by, amounts_at(hold, cap))


def most_of(hold: Hold) -> int:
    """The cap that *hold* gets where every limit has room for it."""
    wanted, greatest = hold.cap.wanted, hold.cap.greatest
    return greatest if wanted is None or wanted > greatest else wanted


def fits_whole(hold: Hold, needed: Vector, rooms: Iterable[tuple[int, int]]) -> bool:
    """
    Whether `decide` surely grants *hold* all of `most_of`, so that it need not be asked: most calls are small.

    Args:
        needed: What it takes then.
        rooms: Of each limit the slot of its metric, and what is neither used nor held.
    """
    # A call without a wish is granted a quarter of any room without further questions.
    parts = 4 if hold.cap.wanted is None else 1
    for slot, room in rooms:  # noqa: SIM110 - a generator would take as long again
        if room // parts < needed[slot] and needed[slot]:
            return False
    return True


def is_too_rough(hold: Hold, decision: Decision, standings: Sequence[Standing]) -> bool:
    """
    Whether *hold* is refused, waits or is lowered, and a smaller input bound might mend that.

    A call without a wish is lowered by a quarter as a matter of course: that is too rough only where it gets less
    than `QUARTER_MIN_TOKENS`.
    """
    at_best = hold.at_best
    if at_best is None:
        return False
    cap = -1
    if isinstance(decision, Grant):
        if decision.lowered_by is None or (
            hold.cap.wanted is None and decision.cap >= QUARTER_MIN_TOKENS
        ):
            return False
        cap = decision.cap
    better = decide(
        msgspec.structs.replace(hold, input_tokens=at_best.input_tokens, terms=at_best.terms),
        standings,
    )
    if isinstance(better, Grant):
        return better.cap > cap
    return isinstance(decision, Refuse) and isinstance(better, Wait)


def fit_without_holds(hold: Hold, slot: int, room: int) -> int:
    """The largest cap that fits into *room* of a limit; `NO_FIT`, or less, where the fixed part does not."""
    has_output = hold.cap.greatest > 0 and hold.cap.wanted != 0
    choices = hold.cap.choices
    if slot == MONEY:
        terms = hold.terms
        left = (
            room * PER_MILLION
            - hold.input_tokens * terms.input_nano_per_million
            - terms.fees_nano * PER_MILLION
        )
        per_cap = choices * terms.output_nano_per_million if has_output else 0
        takes = left < room * PER_MILLION
    elif slot == TOKENS:
        left, per_cap, takes = room - hold.input_tokens, choices * has_output, hold.input_tokens > 0
    elif slot == OUTPUT_TOKENS:
        left, per_cap, takes = room, choices * has_output, False
    else:
        needed = {INPUT_TOKENS: hold.input_tokens, IMAGES: hold.images}.get(slot, 1)
        left, per_cap, takes = room - needed, 0, needed > 0
    if per_cap:
        return left // per_cap
    return UNBOUNDED if left >= 0 or not takes else NO_FIT


def takes_from(hold: Hold, slot: int) -> bool:
    """Whether *hold* takes anything at all from a limit of this metric."""
    has_output = hold.cap.greatest > 0 and hold.cap.wanted != 0
    terms = hold.terms
    if slot == MONEY:
        costs_input = hold.input_tokens > 0 and terms.input_nano_per_million > 0
        return (
            costs_input or terms.fees_nano > 0 or (has_output and terms.output_nano_per_million > 0)
        )
    if slot == TOKENS:
        return has_output or hold.input_tokens > 0
    if slot == OUTPUT_TOKENS:
        return has_output
    return {INPUT_TOKENS: hold.input_tokens, IMAGES: hold.images}.get(slot, 1) > 0


def amounts_at(hold: Hold, cap: int) -> Amounts:
    """What is held when *cap* output tokens per choice are granted. Rounded up once, at the end."""
    terms = hold.terms
    output = hold.cap.choices * cap
    nano = hold.input_tokens * terms.input_nano_per_million + output * terms.output_nano_per_million
    return Amounts(
        cost_nano=-(-nano // PER_MILLION) + terms.fees_nano,
        input_tokens=hold.input_tokens,
        output_tokens=output,
        images=hold.images,
    )


def vector_of(amounts: Amounts) -> Vector:
    """*amounts* per metric: what one call takes from limits of each."""
    inputs, outputs = amounts.input_tokens, amounts.output_tokens
    return (amounts.cost_nano, 1, inputs + outputs, inputs, outputs, amounts.images, 1)


def _reason(standing: Standing, needed: Vector) -> Reason:
    slot = standing.slot
    if slot == MONEY:
        return Reason.QUOTA
    if slot in (REQUESTS, CONCURRENCY) or needed[slot] <= standing.limit.limit.amount:
        return Reason.RATE
    return Reason.NEVER_FITS
