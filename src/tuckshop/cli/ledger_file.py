"""Where the ledger lies, for the commands that open it themselves."""

from __future__ import annotations

from pathlib import Path

from tuckshop.settings import Settings

_NAME = "tuckshop.db"  # as storage names it; not imported, so that help comes at once


def ledger_file(settings: Settings) -> Path:
    """The ledger that *settings* point at, whether or not it is there."""
    if settings.database_url is None:
        return settings.data / _NAME
    return Path(settings.database_url.removeprefix("sqlite:///"))
