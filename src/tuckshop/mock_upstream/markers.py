"""
Markers in a prompt that steer the answer: `[[tokens:500]]`, `[[fault:reset-mid-stream]]`.

A relay in between lets only known models through, so what a made-up model name would say can also stand in the last
user message or in the input text.
"""

from __future__ import annotations

import math
import re
from typing import Final

from tuckshop.mock_upstream.errors import wrong_value

# A list for the manual, checked by a test.
MARKERS: Final[dict[str, str]] = {
    "fault": "play the fault of that name",
    "times": "only the first so many requests with the same `x-client-request-id` meet the fault; the rest are served",
    "at": "in how many events (in a plain reply: bytes) the fault in mid-reply comes; without it, half-way",
    "tokens": "the answer's length in tokens, its reasoning apart",
    "reasoning": "how many tokens a reasoning model thinks first",
    "cached": "how many of the input tokens count as cached",
    "speed": "tokens per second",
    "first-token-ms": "milliseconds until the answer begins",
    "echo": "answer exactly this text; `{{flag:hate}}` in it is answered as a marker, for whoever reads the answer",
    "flag": "the moderation category that flags this input",
    "lockstep": "each event of the stream waits for a POST /_mock/next; the value is a name for it, if given",
}
_MARKER: Final = re.compile(r"\[\[([a-z-]+)(?::([^\[\]]*))?\]\]")


def read_markers(text: str) -> dict[str, str]:
    """Marker → value in *text*; the last of a name counts, and what is no marker of ours is plain text."""
    if "[[" not in text:
        return {}
    return {match[1]: match[2] or "" for match in _MARKER.finditer(text) if match[1] in MARKERS}


def without_markers(text: str) -> str:
    """*text* as a model reads it, so that markers change how an answer comes and not what it says."""
    if "[[" not in text:
        return text
    return _MARKER.sub(lambda match: "" if match[1] in MARKERS else match[0], text).strip()


def marked(text: str) -> str:
    """*text* with its double braces as brackets: what a model says may be asked about in its turn."""
    return text.replace("{{", "[[").replace("}}", "]]")


def number(markers: dict[str, str], name: str) -> float | None:
    """
    The number that marker *name* gives, or None where it is absent.

    Raises:
        ApiError: It is not a number, or not one that makes sense: negative, endless, a speed of zero.
    """
    text = markers.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf or (name == "speed" and value == 0):
        raise wrong_value("messages", f"The marker [[{name}:…]] needs a number.")
    return value
