from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tuckshop.domain.ids import new_id

_LATEST_US = 2**48 * 1000 - 1


@given(early_us=st.integers(0, _LATEST_US - 1000), gap_us=st.integers(1000, 10**15))
def test_ids_sort_by_the_time_they_were_made(early_us: int, gap_us: int) -> None:
    late_us = min(early_us + gap_us, _LATEST_US)

    assert new_id("req", early_us) < new_id("req", late_us)


def test_ids_of_one_instant_differ() -> None:
    assert len({new_id("key", 1_790_000_000_000_000) for _ in range(5_000)}) == 5_000


def test_an_id_tells_its_kind_and_is_a_uuid_of_version_7() -> None:
    prefix, _, digits = new_id("grp", 1_790_000_000_000_000).partition("_")

    value = 0
    for digit in digits:
        value = value * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
    assert prefix == "grp"
    assert len(digits) == 26
    assert value >> 80 == 1_790_000_000_000
    assert value >> 76 & 0xF == 7
    assert value >> 62 & 0b11 == 0b10
