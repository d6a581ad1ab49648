"""What an image is held at bounds what the made-up provider, by its own formulas, bills for it (M1)."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.pricing.rows import LIST
from tests.unit.protocols.pictures import data_url, png
from tuckshop.mock_upstream.catalogue import MODELS
from tuckshop.mock_upstream.pictures import picture_tokens
from tuckshop.pricing.images import ImageRule, image_tokens
from tuckshop.pricing.prices import ModelPrice

SEEING = [row for row in LIST.rows() if row.images is not None and row.model in MODELS]
DETAILS = (None, "auto", "low", "high", "original")


@pytest.mark.parametrize(
    ("rule", "most"),
    [
        ("tiles-85-170", 1_445),
        ("tiles-2833-5667", 48_169),
        ("tiles-70-140", 1_190),
        ("tiles-75-150", 1_275),
        ("patches-1536-x1.62", 2_489),
        ("patches-1536-x2.46", 3_779),
        ("patches-1536-x1.72", 2_642),
        ("patches-1536-x1.2", 1_844),
        ("patches-10000-x1.2", 12_000),
        ("flat-1844", 1_844),
        ("flat-2489", 2_489),
    ],
)
def test_an_image_of_unknown_size_is_held_at_the_most(rule: ImageRule, most: int) -> None:
    assert image_tokens(rule, pixels=None, detail=None) == most


def test_pixels_lower_what_is_held() -> None:
    assert image_tokens("tiles-85-170", pixels=(1024, 1024), detail="high") == 85 + 170 * 4
    assert image_tokens("tiles-85-170", pixels=(4096, 4096), detail="low") == 85
    assert image_tokens("patches-1536-x1.62", pixels=(320, 320), detail=None) == 162


def test_what_takes_every_pixel_is_bounded_by_pixels_or_by_the_detail_or_not_at_all() -> None:
    rule: ImageRule = "patches-unlimited-x1.2"

    assert image_tokens(rule, pixels=None, detail=None) is None
    assert image_tokens(rule, pixels=None, detail="original") is None
    assert image_tokens(rule, pixels=None, detail="high") == 3_000
    assert image_tokens(rule, pixels=(6_400, 6_400), detail=None) == 48_000


@example(row=LIST.find("gpt-4.1"), width=8_867, height=4_432, detail=None)  # rounded twice
@given(
    row=st.sampled_from(SEEING),
    width=st.integers(1, 9_000),
    height=st.integers(1, 9_000),
    detail=st.sampled_from(DETAILS),
)
def test_the_bound_holds_for_every_model_size_and_detail(
    row: ModelPrice, width: int, height: int, detail: str | None
) -> None:
    assert row.images is not None

    billed = picture_tokens(data_url(png(width, height)), detail, row.model, "image")
    by_pixels = image_tokens(row.images, pixels=(width, height), detail=detail)
    by_rule = image_tokens(row.images, pixels=None, detail=detail)

    assert by_pixels is not None
    assert billed <= by_pixels
    assert by_rule is None or billed <= by_rule
