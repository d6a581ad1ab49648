"""What members are called where a group hides who they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.ids import new_id
from tuckshop.domain.pseudonyms import (
    Person,
    looks_like_one,
    pseudonym_of,
    under_pseudonym,
)
from tuckshop.domain.records import Member

ADA = Member(
    id="mem_1",
    group_id="grp_1",
    external_id="4711",
    name="Ada",
    email="ada@example.org",
    limits=(),
    models=None,
    endpoints=None,
    max_output_tokens=None,
    state="active",
)


@given(st.text(min_size=1))
def test_a_pseudonym_is_two_words_and_five_characters_and_stays(member_id: str) -> None:
    pseudonym = pseudonym_of(member_id)

    assert looks_like_one(pseudonym)
    assert pseudonym == pseudonym_of(member_id)
    assert pseudonym.isascii()
    assert pseudonym == pseudonym.lower()


def test_members_of_a_large_group_have_different_ones() -> None:
    ids = {new_id("mem", 1_000_000 + number) for number in range(20_000)}

    assert len({pseudonym_of(id_) for id_ in ids}) == len(ids)


def test_who_a_member_is_is_replaced_and_what_they_may_stays() -> None:
    """P11."""
    shown = under_pseudonym(ADA)

    assert (shown.external_id, shown.name, shown.email) == (pseudonym_of("mem_1"), None, None)
    assert (shown.id, shown.group_id, shown.limits, shown.state) == ("mem_1", "grp_1", (), "active")


@pytest.mark.parametrize(
    "text", ["4711", "ada@example.org", "amber-otter", "a-b-12345x", "A-b-12345"]
)
def test_what_institutions_call_people_is_not_taken_for_one(text: str) -> None:
    assert not looks_like_one(text)


def test_a_person_is_not_printed_by_oversight() -> None:
    """P1."""
    person = Person(external_id="4711", name="Ada", email="ada@example.org")

    assert repr(person) == "Person()"
