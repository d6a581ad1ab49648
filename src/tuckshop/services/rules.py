"""Reading a group's rules: each in its normal form, or a refusal that names the entry and what was expected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from tuckshop.domain.networks import parse_network
from tuckshop.domain.rules.deny_list import PHRASE_MAX_WORDS, words_of
from tuckshop.domain.rules.deny_patterns import DenyPatterns, PatternError
from tuckshop.domain.rules.opening_hours import parse_hours
from tuckshop.domain.rules.rules import NO_RULES, Rules
from tuckshop.services.fields import InvalidValueError
from tuckshop.storage.rows import text_of_part

_TOOL: Final = "a name of a tool, or a glob such as get_*"


def rules(sent: Rules, *, compiles: bool = True) -> str | None:
    """
    The column of *sent*; rules that say nothing are none.

    Args:
        compiles: Whether patterns are to be seen to be some, for which RE2 has to be here.
    """
    if compiles:
        _check_patterns(sent.deny_patterns)
    read = replace(
        sent,
        deny_words=_each(sent.deny_words, _phrase, ".deny_words"),
        tools=_each(sent.tools, _tool, ".tools"),
        hours=_each(sent.hours, lambda entry: str(parse_hours(entry)), ".hours"),
        networks=_each(sent.networks, lambda entry: str(parse_network(entry)), ".networks"),
        pii=dict(sorted(sent.pii.items())),
    )
    prompt = read.system_prompt
    if prompt is not None and not prompt.text.strip():
        raise InvalidValueError("is empty", ".system_prompt.text")
    return None if read == NO_RULES else text_of_part(read)


def _each(
    entries: Sequence[str] | None, read: Callable[[str], str], place: str
) -> tuple[str, ...] | None:
    """Each of *entries* as *read* has it, once."""
    if entries is None:
        return None
    found: dict[str, None] = {}
    for number, entry in enumerate(entries):
        try:
            found[read(entry)] = None
        except ValueError as error:
            raise InvalidValueError(str(error), f"{place}[{number}]") from None
    return tuple(found)


def _phrase(entry: str) -> str:
    words = words_of(entry)
    if not 0 < len(words) <= PHRASE_MAX_WORDS:
        raise ValueError(f"expected 1 to {PHRASE_MAX_WORDS} words of letters and digits")
    return " ".join(entry.split())


def _tool(entry: str) -> str:
    if not entry.isprintable() or " " in entry:
        raise ValueError(f"{entry!r} is not {_TOOL}")
    return entry


def _check_patterns(entries: tuple[str, ...]) -> None:
    try:
        DenyPatterns(entries)
    except PatternError as error:
        raise InvalidValueError(str(error), f".deny_patterns[{error.place}]") from None
