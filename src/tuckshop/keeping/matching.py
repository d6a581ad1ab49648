"""Whether a text stands in what was said, taken literally and without regard to case (K5, K7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from tuckshop.keeping.kept_body import Content
from tuckshop.protocols.openai.reassembly import answer_of, json_or_text, texts_in

Where = Literal["request", "reply"]
PARSED_MAX_BYTES: Final = (
    256 << 10
)  # to parse more would hold up others: its bytes are searched as they stand
AROUND: Final = 60  # characters shown on each side
_DATA_URL: Final = "data:"
_DATA_MAX: Final = 200  # a longer one is an image or a sound, in which nobody looks for words


class Found(NamedTuple):
    """Where the text stands first, and what stands around it."""

    where: Where
    excerpt: str


class Needle:
    """What is looked for."""

    def __init__(self, text: str) -> None:
        self._text = text.casefold()
        # As JSON spells it, where it is not parsed.
        self._spelled = {
            json.dumps(text, ensure_ascii=only)[1:-1].casefold() for only in (True, False)
        } | {self._text}

    def find(self, content: Content) -> Found | None:
        """The first place in *content*."""
        for where, text, is_spelled in _texts(content):
            folded = text.casefold()
            for needle in self._spelled if is_spelled else (self._text,):
                start = folded.find(needle)
                if start >= 0:
                    # Folding may make a text longer; then it is the folded one that is shown.
                    shown = text if len(text) == len(folded) else folded
                    return Found(where, _around(shown, start, start + len(needle)))
        return None


def _texts(content: Content) -> Iterator[tuple[Where, str, bool]]:
    for text, is_spelled in _of_body(content.request):
        yield "request", text, is_spelled
    if content.is_stream:
        answer = answer_of(content.reply, is_stream=True, events=content.events)
        for text in texts_in(answer):
            yield "reply", text, False
    else:
        for text, is_spelled in _of_body(content.reply):
            yield "reply", text, is_spelled


def _of_body(body: bytes) -> Iterator[tuple[str, bool]]:
    value = json_or_text(body) if len(body) <= PARSED_MAX_BYTES else body.decode(errors="replace")
    if isinstance(value, str):
        yield value, True
    else:
        for text in texts_in(value):
            if not (text.startswith(_DATA_URL) and len(text) > _DATA_MAX):
                yield text, False


def _around(text: str, start: int, end: int) -> str:
    before, after = max(0, start - AROUND), end + AROUND
    return ("…" if before else "") + text[before:after] + ("…" if after < len(text) else "")
