from __future__ import annotations

import sys
import time

import pytest

from tuckshop.domain.rules.deny_patterns import DenyPatterns, PatternError


def test_a_pattern_matches_anywhere_in_the_text_as_it_looks() -> None:
    patterns = DenyPatterns([r"(?i)solve (exercise|sheet) \d+", r"^secret"])

    assert patterns.is_in("please SOLVE exercise 12 for me")
    assert patterns.is_in("solve \uff45xer\u00adcise 12")
    assert patterns.is_in("secret")
    assert not patterns.is_in("no secret: solve it")
    assert not DenyPatterns([]).is_in("anything")


@pytest.mark.parametrize(
    ("patterns", "place", "told"),
    [
        (["a", "(b"], 1, "not a pattern of RE2"),
        ([r"(?=a)b"], 0, "not a pattern of RE2"),
        ([r"(a)\1"], 0, "not a pattern of RE2"),
        ([r"[01]*1[01]{1000}"] * 5, 3, "too much work"),
        ([r"(a{1000}){1000}"], 0, "RE2"),
    ],
)
def test_what_re2_does_not_take_is_refused_with_its_place(
    patterns: list[str], place: int, told: str
) -> None:
    """K7."""
    with pytest.raises(PatternError, match=told) as caught:
        DenyPatterns(patterns)

    assert caught.value.place == place


def test_without_the_extra_patterns_are_refused_and_how_to_install_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)

    with pytest.raises(PatternError, match=r"pip install 'tuckshop\[re2\]'"):
        DenyPatterns(["a"])
    DenyPatterns([])


def test_no_pattern_takes_long() -> None:
    """K7: patterns that Python's own engine tries for ever, and as many states as are taken, on what the loop does."""
    text = "a" * 4_000 + "!"
    began = time.process_time()
    for evil in (r"(a+)+$", r"(a|aa)+$", r"(.*a){20}b", r"([a-z]+)*@", r".*a.{200}b"):
        assert not DenyPatterns([evil]).is_in(text)
    assert time.process_time() - began < 2
