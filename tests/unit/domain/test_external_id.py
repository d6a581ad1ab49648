from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.external_id import folded


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("4711", "4711"),
        ("  4711\t", "4711"),
        ("0815", "0815"),
        ("Ab12", "Ab12"),
        ("Ada@Uni.Example", "ada@uni.example"),
        (" Straße@uni.example ", "strasse@uni.example"),
        ("Mu\u0308ller", "M\u00fcller"),
    ],
)
def test_one_person_has_one_spelling(written: str, compared: str) -> None:
    assert folded(written) == compared


@given(text=st.text(max_size=30), address=st.booleans())
def test_folding_twice_changes_nothing(text: str, address: bool) -> None:
    once = folded(f"{text}@x" if address else text)

    assert folded(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert once == once.strip()
