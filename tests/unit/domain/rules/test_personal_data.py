from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.rules.personal_data import find
from tuckshop.domain.rules.rules import PiiAction, PiiKind

ALL: Mapping[PiiKind, PiiAction] = {
    "credit_card": "block",
    "email": "redact",
    "iban": "block",
    "phone": "flag",
}


def found(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.end]) for one in find(text, ALL)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(
            ("email", text)
            for text in ("ada@example.org", "a.b+c@mail.uni-example.de", "ü@köln.de")
        ),
        ("email", "ada\uff20example.org"),
        ("email", "ada@exa\u00admple.org"),
        ("iban", "DE89370400440532013000"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "de89-3704-0044-0532-0130-00"),
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "NO9386011117947"),
        ("iban", "MT84MALT011000012345MTLCAST001S"),
        ("iban", "DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000"),
        ("credit_card", "4111111111111111"),
        ("credit_card", "4111 1111 1111 1111"),
        ("credit_card", "5500-0000-0000-0004"),
        ("credit_card", "3782 822463 10005"),
        ("credit_card", "\uff14\uff11\uff11\uff11" + "1111" * 3),
        ("credit_card", "٤١١١١١١١١١١١١١١١"),
        ("credit_card", "4111\u20111111\u20111111\u20111111"),
        ("phone", "+49 30 901820"),
        ("phone", "+1 (212) 555-0123"),
        ("phone", "0049 30 901820"),
        ("phone", "+44\u200b20 7946 0958"),
    ],
)
def test_personal_data_is_found_in_its_whole_extent(kind: str, text: str) -> None:
    assert found(text) == [(kind, text)]
    assert found(f"I am <{text}>, you know") == [(kind, text)]
    assert found(f"ﬁrst … {text} … and last") == [(kind, text)]


@pytest.mark.parametrize(
    "text",
    [
        *("", "a@b", "@example.org", "ada@localhost", "user@1.2.3.4", "x @ y.org"),
        *("DE88 3704 0044 0532 0130 00", "XX89370400440532013000", "DE8937040044053201300", "DE89"),
        *(
            "4111111111111112",
            "1764045600000000",
            "41111111111111111111",
            "4111 1111 1111",
            "a4111111111111111",
        ),
        *("030 901820", "+49", "1+12345678", "2026-11-25T10:00:00+00:00", "+0 123 456 789"),
        "3.14159265358979",
        "12 34 56 78 90 12 34 56 78",
    ],
)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert found(text) == []


def test_what_overlaps_is_one_of_the_graver_kind() -> None:
    text = "4111111111111111@example.org"

    (one,) = find(text, ALL)
    assert (one.kind, one.start, one.end) == ("credit_card", 0, len(text))
    (one,) = find(text, {"credit_card": "flag", "email": "redact"})
    assert one.kind == "email"


def test_several_in_one_text_are_found_in_their_order() -> None:
    text = "ada@example.org, +49 30 901820, DE89370400440532013000; bob@example.org"

    assert [kind for kind, _ in found(text)] == ["email", "phone", "iban", "email"]


@pytest.mark.parametrize(
    "text",
    [
        *("a" * 1_000_000, "@" * 500_000, "a@" * 300_000, "a@b." * 200_000, "1 " * 400_000),
        *(
            "+1" * 300_000,
            "DE12 " * 150_000,
            "4111 " * 150_000,
            "a" * 300_000 + "@" + "b." * 300_000,
        ),
        *("\uff14\u00ad" * 100_000, "+1 " * 200_000, "00" * 300_000, "-" * 500_000 + "@x"),
    ],
)
def test_it_takes_time_in_proportion_to_the_text(text: str) -> None:
    began = time.process_time()
    find(text, ALL)
    assert time.process_time() - began < 3


@given(st.text(st.sampled_from("aZ09@.+- \u00ad\uff14\ufb03\u00a0٤"), max_size=60))
def test_pieces_lie_in_the_text_apart_from_each_other(text: str) -> None:
    """Hostile Unicode: characters that become several, or none."""
    end = 0
    for one in find(text, ALL):
        assert end <= one.start < one.end <= len(text)
        end = one.end
