"""
The made-up provider's own tokens: what it counts going in, and the pieces it says going out.

Going in, four bytes of UTF-8 are a token, and eight after the first 256; going out, a piece of prose is one. Either way
a token stands for at least one byte, as with the real tokenizers, which also need no fewer for a long text that people
write.
"""

from __future__ import annotations

from typing import Any, Final
from zlib import crc32

PER_MESSAGE: Final = 3  # what the chat format adds to each message
PER_REPLY: Final = 3  # and to the beginning of the reply
PER_TOOL: Final = 7
PER_FILE: Final = 85
DENSE_BYTES: Final = 256

_TEXT: Final = (
    " The shop stands behind the gym, and at ten past ten it is full. Everyone has a little pocket money and nobody has"
    " much. One asks for a roll, the next for two apples, and whoever counts the coins before ordering is served just"
    " as quickly. Behind the counter hangs a single key; it opens the store room, and it never leaves the hook while"
    " anybody is looking. What is taken is written down first, then handed over, and what comes back is struck out"
    " again. In the evening the sums agree, because each line was true when it was written. Some days a boy runs off"
    " without his change; it lies in a cup until he asks. Some days the till is short by nothing at all, which is the"
    " whole point of keeping it. So the answer to your question is short: add up what you have, see what it costs,"
    " and ask for that much. If it is not enough today, there is always another break tomorrow, with a fresh roll."
)


def _split(text: str) -> tuple[str, ...]:
    """Words with their leading space, in halves where they are long: like the pieces of a real tokenizer."""
    pieces: list[str] = []
    for word in text.split(" ")[1:]:
        half = len(word) // 2
        pieces += [f" {word}"] if len(word) < 8 else [f" {word[:half]}", word[half:]]
    return tuple(pieces)


PIECES: Final = _split(_TEXT)


def count_text(text: str) -> int:
    """Tokens of *text* going in: one for each four bytes begun, after the first `DENSE_BYTES` for each eight."""
    size = len(text) if text.isascii() else len(text.encode())
    dense = min(size, DENSE_BYTES)
    return (dense + 3) // 4 + (size - dense + 7) // 8


def seed_of(text: str) -> int:
    """A number that is the same for the same *text*, in every process."""
    return crc32(text.encode(errors="replace"))


def prose(seed: int, count: int) -> list[str]:
    """*count* pieces of prose, the same for the same *seed*."""
    start = seed % len(PIECES)
    pieces: list[str] = []
    while len(pieces) < count:
        pieces += PIECES[start : start + count - len(pieces)]
        start = 0
    if pieces:
        pieces[0] = pieces[0].lstrip().capitalize() or pieces[0]
    return pieces


def split_text(text: str) -> list[str]:
    """A given *text* in pieces of four characters, for answers that are not prose."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]


def count_tools(tools: list[Any]) -> int:
    """Tokens of tool definitions or schemas going in: their texts, and a little for each and each property."""
    return sum(PER_TOOL + (_text_bytes(tool) + 3) // 4 for tool in tools)


def _text_bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict):
        return sum(_text_bytes(name) + _text_bytes(child) for name, child in value.items())
    if isinstance(value, list):
        return sum(_text_bytes(child) for child in value)
    return 0
