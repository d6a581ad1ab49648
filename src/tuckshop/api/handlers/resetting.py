"""What a reset of any scope may be asked."""

from __future__ import annotations

from tuckshop.services.shapes.parts import Sent


class ResetQuery(Sent, frozen=True, kw_only=True):
    """Whether `total` starts afresh too."""

    total: bool = False
