"""
A paper before it is Markdown or a page: headings, paragraphs, lists and tables of plain text.

What people wrote (titles, purposes) is marked where it is put into a sentence, and becomes text in either form, never
markup (K13). The marks are control characters, which no field of ours takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_SAID, _SAID_END, _GAP, _GAP_END = "\x02", "\x03", "\x04", "\x05"
_MARKED: Final = re.compile("\x02([^\x03]*)\x03|\x04([^\x05]*)\x05")
# What could begin something in Markdown or HTML, wherever in a line it stands.
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>#|~&])")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the title."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Para:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = Heading | Para | Items | Rows


def said(text: str) -> str:
    """*text*, which somebody wrote, for a sentence."""
    return f"{_SAID}{text}{_SAID_END}"


def gap(text: str) -> str:
    """*text*, which says what is missing."""
    return f"{_GAP}{text}{_GAP_END}"


def plain(text: str) -> str:
    """*text* without any marks."""
    return _MARKED.sub(lambda found: found[1] or found[2] or "", text)


def gaps_in(blocks: Sequence[Block]) -> list[str]:
    """What is missing, each once, in order."""
    found = (match[2] for text in _texts(blocks) for match in _MARKED.finditer(text) if match[2])
    return list(dict.fromkeys(found))


def rendered(
    text: str,
    *,
    ours: Callable[[str], str],
    theirs: Callable[[str], str],
    missing: Callable[[str], str],
) -> str:
    """*text* with each part as its function has it."""
    parts: list[str] = []
    at = 0
    for match in _MARKED.finditer(text):
        parts.append(ours(text[at : match.start()]))
        parts.append(missing(match[2]) if match[2] is not None else theirs(match[1]))
        at = match.end()
    parts.append(ours(text[at:]))
    return "".join(parts)


def markdown(blocks: Sequence[Block]) -> str:
    """The paper as Markdown."""
    return "\n\n".join(map(_markdown_of, blocks)) + "\n"


def _markdown_of(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {_inline(block.text)}"
        case Para():
            return _inline(block.text)
        case Items():
            return "\n".join(f"- {_inline(text)}" for text in block.texts)
        case Rows():
            lines = [block.heads, ["---"] * len(block.heads), *block.rows]
            return "\n".join(f"| {' | '.join(map(_inline, line))} |" for line in lines)


def _inline(text: str) -> str:
    return rendered(
        text,
        ours=lambda part: part,
        theirs=lambda part: _SPECIAL.sub(r"\\\1", part),
        missing=lambda part: f"**{part}**",
    )


def _texts(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Heading() | Para():
                yield block.text
            case Items():
                yield from block.texts
            case Rows():
                yield from block.heads
                for row in block.rows:
                    yield from row
