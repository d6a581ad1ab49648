"""The anti-flood rate: one token bucket per key, in memory, before anything else is looked at."""

from __future__ import annotations

from tuckshop.domain.errors import RateLimitExceededError


class FloodGate:
    """Lets *per_second* calls of one key through, *burst* at once. Holds one pair of numbers per known key."""

    def __init__(self, *, per_second: int, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}  # key id → (tokens left, as of)

    def __len__(self) -> int:
        """How many keys it remembers."""
        return len(self._buckets)

    def pass_through(self, key_id: str, now_s: float) -> None:
        """
        Take one token of *key_id*. *now_s* is the monotonic clock.

        Raises:
            RateLimitExceededError: The bucket is empty.
        """
        left, as_of = self._buckets.get(key_id, (float(self._burst), now_s))
        left = min(float(self._burst), left + (now_s - as_of) * self._per_second)
        if left < 1:
            self._buckets[key_id] = (left, now_s)
            wait_s = (1 - left) / self._per_second if self._per_second else 60.0
            raise RateLimitExceededError(state=None, retry_after_s=wait_s, flood=True)
        self._buckets[key_id] = (left - 1, now_s)
