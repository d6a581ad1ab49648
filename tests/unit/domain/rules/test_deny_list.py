from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.rules.deny_list import DenyList, words_of
from tuckshop.domain.rules.folding import folded, visible

LIST = DenyList(["class", "weather report", "Straße", "café", "don't"])


@pytest.mark.parametrize(
    "text",
    [
        *("class", "a CLASS.", "(class)", "first_class", "class-room"),
        *("weather report", "Weather\n\nReport", "the weather, report it", "weather_report"),
        *("STRASSE", "strasse", "Café", "cafe\u0301", "DON'T", "don’t"),  # noqa: RUF001
        "\uff23\uff2c\uff21\uff33\uff33",  # wide
        "\U0001d41c\U0001d425\U0001d41a\U0001d42c\U0001d42c",  # bold, of mathematics
        "cl\u00ada\u200bs\u2060s",  # with hidden characters
        "\u202eclass\u202c",
        "c\u0336l\u0336a\u0336s\u0336s\u0336",  # struck through
        "c\U000e0041lass",  # a tag
    ],
)
def test_a_word_is_found_however_it_is_written(text: str) -> None:
    assert LIST.is_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "classic",
        "outclass",
        "weather",
        "report weather",
        "weather in the report",
        "cafe",
        "c l a s s",
    ],
)
def test_only_whole_words_are_found_and_in_their_order(text: str) -> None:
    assert not LIST.is_in(text)


def test_a_phrase_is_found_across_the_batches_of_a_large_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tuckshop.domain.rules.deny_list._BATCH_WORDS", 4)
    phrases = DenyList(["one two three", "nine ten"])

    for before in range(9):
        assert phrases.is_in("x " * before + "one two three")
        assert phrases.is_in("x " * before + "nine ten and more")
        assert not phrases.is_in("x " * before + "one two x three nine")


def test_as_many_words_as_there_may_be_take_no_longer_than_one() -> None:
    """Bounded time: 2,000 words and phrases against a megabyte, and marks that normal forms sort quadratically."""
    many = DenyList([f"word{n}" if n % 2 else f"a b c d e f g word{n}" for n in range(2_000)])
    texts = ["a " * 500_000, "a\u0301\u0316" * 100_000, "\u0316\u0301" * 150_000, "x" * 1_000_000]

    began = time.process_time()
    assert not any(map(many.is_in, texts))
    assert time.process_time() - began < 5


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_folding_twice_changes_nothing_more_and_hides_nothing(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    assert words_of(folded(text)) == words_of(text)
    assert not any(unicodedata.category(c) == "Lu" and c.isascii() for c in folded(text))


@given(st.text("abc \u0301\u00e9\uff41", min_size=1, max_size=40))
def test_what_has_words_finds_itself(text: str) -> None:
    words = words_of(text)
    if 0 < len(words) <= 8:
        assert DenyList([text]).is_in(f"before {text} after")
