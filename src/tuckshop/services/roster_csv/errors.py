"""What is wrong with a whole file."""

from __future__ import annotations


class RosterFileError(ValueError):
    """The file as a whole cannot be read; the message says what to do."""
