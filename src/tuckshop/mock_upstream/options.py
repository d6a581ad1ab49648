"""What a made-up upstream is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MockOptions:
    """How fast it answers, whom it lets in, and where it writes down what it did."""

    credential: str | None = field(default=None, repr=False)
    """The only credential that is let in; None: any bearer is."""
    bill: Path | None = None
    """Where a line is written before each piece that is generated."""
    record: Path | None = None
    """Where each request is written, headers and body."""
    tokens_per_second: float | None = None
    """The speed of each answer; None: as fast as possible."""
    first_token_ms: float = 0.0
    """How long an answer takes to begin."""
    run_ahead_tokens: int = 32
    """How far it generates ahead of a client that does not read."""
    after_leave_tokens: int = 16
    """How many tokens of a stream it still generates, and bills, after its client has left."""
