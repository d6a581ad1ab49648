"""docs/explanation/guarantees.md names for every rule the tests that are there, and every rule has some."""

from __future__ import annotations

from tools.build_guarantees import PAGE, page, proofs, sections

RULES = {rule for section in sections() for rule in section["rules"]}


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tools.build_guarantees"


def test_every_rule_has_a_test() -> None:
    assert sorted(RULES - proofs().keys()) == []


def test_no_test_names_a_rule_that_is_not_told() -> None:
    assert sorted(proofs().keys() - RULES) == []
