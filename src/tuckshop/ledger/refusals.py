"""How a limit stands and, where it refuses, which refusal of which limit is told, and until when it lasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.errors import (
    InsufficientQuotaError,
    RateLimitExceededError,
    RefusalError,
    RequestExceedsLimitError,
)
from tuckshop.domain.reservation import LimitInForce, LimitState, Reading
from tuckshop.ledger.arithmetic import Reason, Refuse, Standing
from tuckshop.ledger.tallies import FOREVER, Tally

NEVER_S: Final = 30 * 86_400.0  # what is told where a limit never renews by itself
HELD_RETRY_S: Final = 2.0  # running calls end soon


def readings_of(
    tallies: Iterable[Tally], now_us: int, lifts: Sequence[int] = ()
) -> tuple[Reading, ...]:
    """
    How *tallies* stand. They are as `Books.tallies_of` gives them, so `current` is their counter for now.

    Args:
        lifts: Of each, how far its limit may be passed; empty: none may.
    """
    readings: list[Reading] = []
    for place, tally in enumerate(tallies):
        lift = lifts[place] if lifts else 0
        if tally.rolling is not None:
            readings.append((tally.used, tally.held, tally.resets_at_us(now_us), lift))
            continue
        counter = tally.current
        assert counter is not None
        end_us = counter.end_us
        readings.append((counter.used, counter.held, None if end_us == FOREVER else end_us, lift))
    return tuple(readings)


def state_of(limit: LimitInForce, tally: Tally, now_us: int, lift: int = 0) -> LimitState:
    """How *limit* stands, which counts in *tally* and may be passed by *lift*."""
    (reading,) = readings_of((tally,), now_us, (lift,))
    return limit.state(*reading)


def refusal_of(
    refuse: Refuse, standings: Sequence[Standing], tallies: Sequence[Tally], now_us: int
) -> RefusalError:
    """
    The one refusal that is told, of those that say no.

    What can never fit comes first, for no waiting helps; then money, which must not be retried; then the rate limit
    that takes longest. Of several, the one that stays full longest: to name another would promise too much.
    """
    tally_of = {id(standing): tally for standing, tally in zip(standings, tallies, strict=True)}
    by = [(reason, standing, tally_of[id(standing)]) for reason, standing in refuse.by]
    never = [(s, t) for reason, s, t in by if reason is Reason.NEVER_FITS]
    if never:
        standing, tally = min(never, key=lambda pair: pair[0].limit.limit.amount)
        state = state_of(standing.limit, tally, now_us)
        return RequestExceedsLimitError(state=state, needed=refuse.needed[standing.slot])
    timed = [
        (free_again_us(standing, tally, refuse.needed[standing.slot], now_us), standing, tally)
        for reason, standing, tally in by
        if reason is Reason.QUOTA
    ]
    if timed:
        _, standing, tally = max(timed, key=lambda triple: triple[0])
        return InsufficientQuotaError(state_of(standing.limit, tally, now_us, standing.lift))
    timed = [
        (free_again_us(standing, tally, refuse.needed[standing.slot], now_us), standing, tally)
        for _, standing, tally in by
    ]
    at_us, standing, tally = max(timed, key=lambda triple: triple[0])
    retry_after_s = NEVER_S if at_us == FOREVER else max(0, at_us - now_us) / US_PER_SECOND
    return RateLimitExceededError(
        state=state_of(standing.limit, tally, now_us), retry_after_s=min(retry_after_s, NEVER_S)
    )


def free_again_us(standing: Standing, tally: Tally, needed: int, now_us: int) -> int:
    """From when on *needed* fits, if nothing else is used until then; `FOREVER` where time alone does not help."""
    amount = standing.amount
    if needed > amount:
        return FOREVER
    if tally.rolling is None:
        counter = tally.counter_now(now_us)
        assert counter is not None
        return counter.end_us
    used = tally.used
    for counter in tally.counters.values():
        if amount - used >= needed:
            break
        used -= counter.used
        now_us = counter.end_us
    return now_us
