"""Usage: the tokens of one call, as protocols read them and pricing charges them."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Tokens as the upstream states them, likely or not. Reasoning tokens are part of the output."""

    input_tokens: int  # all of the input; cached and cache-write tokens are parts of it
    cached_tokens: int = 0  # read from the cache
    cache_write_tokens: int = 0  # written to the cache, whatever the lifetime
    output_tokens: int = 0
    cache_write_12h_tokens: int = 0  # the part of cache_write_tokens that is kept for 12 hours

    @property
    def is_consistent(self) -> bool:
        """Whether no count is negative and the parts are not more than their wholes."""
        cached, written = self.cached_tokens, self.cache_write_tokens
        return (
            cached >= 0
            and 0 <= self.cache_write_12h_tokens <= written
            and cached + written <= self.input_tokens
            and self.output_tokens >= 0
        )
