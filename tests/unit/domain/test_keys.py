from __future__ import annotations

import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.keys import digest_of, display, is_well_formed, new_secret

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def checksum_of(random: str) -> str:
    """The CRC-32 of *random* in base 62, worked out digit by digit from the left."""
    crc = zlib.crc32(random.encode("ascii"))
    return "".join(_ALPHABET[crc // 62**place % 62] for place in (5, 4, 3, 2, 1, 0))


def test_a_key_has_the_contract_s_format() -> None:
    """K1: `sk-tuck-`, 34 random characters, and their CRC-32 in base 62."""
    secret = new_secret()

    body = secret.removeprefix("sk-tuck-")
    assert len(secret) == 8 + 40
    assert set(body) <= set(_ALPHABET)
    assert body[34:] == checksum_of(body[:34])
    assert is_well_formed(secret)


@pytest.mark.parametrize(
    ("random", "checksum"),
    [
        ("0000000000000000000000000000000000", "0iqUEf"),  # CRC-32 662668069
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5404", "000Aus"),  # CRC-32 41966
    ],
)
def test_a_known_key_has_a_known_checksum(random: str, checksum: str) -> None:
    """Keys that were handed out stay good: the format never changes."""
    assert is_well_formed(f"sk-tuck-{random}{checksum}")
    assert checksum_of(random) == checksum


@given(random=st.text(_ALPHABET, min_size=34, max_size=34))
def test_a_checksum_is_padded_with_zeros(random: str) -> None:
    assert len(checksum_of(random)) == 6
    assert is_well_formed(f"sk-tuck-{random}{checksum_of(random)}")


@given(place=st.integers(8, 47), character=st.sampled_from(_ALPHABET))
def test_one_wrong_character_is_noticed(place: int, character: str) -> None:
    """K1: a typo is refused without a look-up."""
    secret = new_secret()

    typo = secret[:place] + character + secret[place + 1 :]

    assert is_well_formed(typo) is (typo == secret)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda secret: "",
        lambda secret: secret[:-1],
        lambda secret: secret + "0",
        lambda secret: secret + "\n",
        lambda secret: " " + secret,
        lambda secret: secret.removeprefix("sk-tuck-"),
        lambda secret: secret.replace("sk-tuck-", "SK-TUCK-"),
        lambda secret: secret.replace("sk-tuck-", "sk-proj-"),
        lambda secret: "sk-tuck-" + "٣" * 40,
        lambda secret: secret[:20] + "-" + secret[21:],
    ],
)
def test_what_only_resembles_a_key_is_none(spoil: object) -> None:
    assert callable(spoil)
    assert not is_well_formed(spoil(new_secret()))


def test_keys_do_not_repeat() -> None:
    assert len({new_secret() for _ in range(2_000)}) == 2_000


def test_what_is_kept_is_the_digest_and_what_is_shown_the_last_four() -> None:
    secret = new_secret()

    assert digest_of(secret) == hashlib.sha256(secret.encode()).digest()
    assert display(secret[-4:]) == f"sk-tuck-…{secret[-4:]}"
    assert len(digest_of("\udcff")) == 32  # a header's stray byte is an unknown key, not a fault
