"""How checks of several levels meet, and what a verdict comes to (section 12)."""

from __future__ import annotations

import msgspec
import pytest

from tuckshop.domain.moderation import CATEGORIES, Checks, Finding, Judged, Moderation, checks_of

VIOLENT = Judged(
    frozenset({"violence"}), dict.fromkeys(CATEGORIES, 0.01) | {"violence": 0.7, "hate": 0.4}
)
HARMLESS = Judged(frozenset(), dict.fromkeys(CATEGORIES, 0.01))
LOG, BLOCK = Moderation(mode="log"), Moderation(mode="block")


def checks(*levels: Moderation | None) -> Checks:
    found = checks_of(*levels)
    assert found is not None
    return found


def test_without_a_level_that_checks_anything_there_is_no_check() -> None:
    assert checks_of(None, None) is None
    assert checks_of(Moderation(), Moderation(fail="open")) is None


@pytest.mark.parametrize(
    ("levels", "mode"),
    [
        ((LOG, None), "log"),
        ((LOG, BLOCK), "block"),
        ((BLOCK, LOG), "block"),
        ((None, BLOCK), "block"),
    ],
)
def test_the_strictest_mode_counts(levels: tuple[Moderation | None, ...], mode: str) -> None:
    assert checks(*levels).asked == mode


def test_each_level_acts_by_its_own_thresholds() -> None:
    keen = Moderation(mode="log", thresholds={"hate": 0.3})
    calm = Moderation(mode="block", thresholds={"violence": 0.9})

    assert checks(keen, calm).of_asked(VIOLENT) == Finding("noted", ("hate", "violence"))
    assert checks(LOG, BLOCK).of_asked(VIOLENT) == Finding("blocked", ("violence",))
    assert checks(calm).of_asked(VIOLENT) is None
    assert checks(LOG, BLOCK).of_asked(HARMLESS) is None


def test_a_threshold_is_reached_by_the_score_itself() -> None:
    assert VIOLENT.reasons({"violence": 0.7}) == ("violence",)
    assert VIOLENT.reasons({"violence": 0.71}) == ()
    assert HARMLESS.reasons({"sexual": 0}) == ("sexual",)


def test_a_check_fails_open_only_where_all_say_so_that_block() -> None:
    opened = Moderation(mode="block", fail="open", unreadable="pass")

    assert checks(opened).fails_open
    assert checks(LOG, opened).fails_open, "who only logs has no say in it"
    assert not checks(BLOCK, opened).fails_open
    assert checks(opened).passes_unreadable
    assert not checks(BLOCK, opened).passes_unreadable


def test_the_wider_level_chooses_whose_moderation_it_is() -> None:
    ours, theirs = (Moderation(mode="log", upstream=name) for name in ("ours", "theirs"))

    assert checks(ours, theirs).upstream == "ours"
    assert checks(LOG, theirs).upstream == "theirs"
    assert checks(LOG).upstream is None


def test_outputs_are_checked_apart_from_what_is_asked() -> None:
    only = checks(Moderation(outputs="block"))

    assert (only.asked, only.answered) == ("off", "block")
    assert only.of_asked(VIOLENT) is None
    assert only.of_answered(VIOLENT) == Finding("blocked", ("violence",))


def test_what_is_not_said_is_not_shown() -> None:
    assert msgspec.to_builtins(Moderation()) == {"mode": "off", "fail": "closed", "thresholds": {}}
    assert msgspec.to_builtins(Moderation(outputs="log"))["outputs"] == "log"
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"thresholds": {"hate": 1.5}}', type=Moderation)
