"""Secrets at rest open with their key and in their place, and nowhere else (K2)."""

from __future__ import annotations

import pytest

from tuckshop.storage.sealing import KEY_BYTES, Sealer, SealError, credential_place

KEY = bytes(range(KEY_BYTES))
PLACE = credential_place("wsp_default", "upr_1")


def test_what_is_sealed_opens_in_its_place_and_shows_nothing() -> None:
    sealed = Sealer(KEY).seal("sk-real-0123456789", place=PLACE)

    assert Sealer(KEY).open(sealed, place=PLACE) == "sk-real-0123456789"
    assert b"sk-real" not in sealed


def test_the_same_secret_is_never_sealed_alike() -> None:
    sealer = Sealer(KEY)

    assert sealer.seal("a", place=PLACE) != sealer.seal("a", place=PLACE)


def test_another_key_another_row_or_a_changed_byte_opens_nothing() -> None:
    sealed = Sealer(KEY).seal("sk-real-0123456789", place=PLACE)

    with pytest.raises(SealError, match="another secret-key"):
        Sealer(bytes(KEY_BYTES)).open(sealed, place=PLACE)
    with pytest.raises(SealError, match="another row"):
        Sealer(KEY).open(sealed, place=credential_place("wsp_default", "upr_2"))
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(SealError):
            Sealer(KEY).open(bytes(changed), place=PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            Sealer(KEY).open(sealed[:length], place=PLACE)
