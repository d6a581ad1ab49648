"""A picture's size is believed only from a header in which everything is as its format demands (section 3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.protocols.pictures import gif, jpeg, png, webp
from tuckshop.protocols.image_size import pixels_of

MAKERS: dict[str, list[Callable[[int, int], bytes]]] = {
    "image/png": [png],
    "image/jpeg": [jpeg],
    "image/gif": [gif, lambda width, height: gif(width, height, table=False)],
    "image/webp": [
        webp,
        lambda width, height: webp(width, height, kind="VP8L"),
        lambda width, height: webp(width, height, canvas=(width, height)),
        lambda width, height: webp(width, height, kind="VP8L", canvas=(width, height)),
    ],
}
ALL = [(media_type, maker) for media_type, makers in MAKERS.items() for maker in makers]


@pytest.mark.parametrize(("media_type", "maker"), ALL)
@pytest.mark.parametrize("size", [(1, 1), (640, 480), (16_383, 7)])
def test_a_clean_header_tells_the_size(
    media_type: str, maker: Callable[[int, int], bytes], size: tuple[int, int]
) -> None:
    assert pixels_of(maker(*size), media_type) == size


@pytest.mark.parametrize(("media_type", "maker"), ALL)
def test_the_type_that_was_stated_must_be_that_of_the_picture(
    media_type: str, maker: Callable[[int, int], bytes]
) -> None:
    picture = maker(640, 480)

    for other in (*MAKERS, "image/svg+xml", "image/avif"):
        if other != media_type:
            assert pixels_of(picture, other) is None


@pytest.mark.parametrize(("media_type", "maker"), ALL)
def test_a_header_that_is_cut_tells_nothing(
    media_type: str, maker: Callable[[int, int], bytes]
) -> None:
    picture = maker(640, 480)

    for end in range(len(picture)):
        assert pixels_of(picture[:end], media_type) in (None, (640, 480))
    assert pixels_of(picture[:20], media_type) is None


@pytest.mark.parametrize(
    ("picture", "media_type"),
    [
        (png(640, 480)[:29] + b"\x00\x00\x00\x00" + png(640, 480)[33:], "image/png"),  # checksum
        (png(640, 480, depth=3), "image/png"),
        (png(640, 480, colour=5), "image/png"),
        (png(0, 480), "image/png"),
        (png(1 << 20, 1), "image/png"),
        (jpeg(640, 480, frames=2), "image/jpeg"),  # which of them would a decoder take?
        (jpeg(640, 480, frames=0), "image/jpeg"),
        (jpeg(640, 0), "image/jpeg"),  # told at the end of the scan
        (b"\xff\xd8\x00" + jpeg(640, 480)[2:], "image/jpeg"),
        (gif(10, 10, inner=(640, 480)), "image/gif"),  # leaves its screen
        (webp(640, 480, canvas=(10, 10)), "image/webp"),
        (webp(640, 480) + b"more", "image/webp"),
        (webp(640 | 0x4000, 480), "image/webp"),  # to be scaled up
    ],
)
def test_a_header_with_two_meanings_tells_nothing(picture: bytes, media_type: str) -> None:
    assert pixels_of(picture, media_type) is None


@given(
    maker=st.sampled_from(ALL), at=st.integers(0, 80), by=st.integers(1, 255), cut=st.integers(0, 9)
)
def test_no_damage_raises(
    maker: tuple[str, Callable[[int, int], bytes]], at: int, by: int, cut: int
) -> None:
    media_type, make = maker
    damaged = bytearray(make(640, 480))
    damaged[at % len(damaged)] ^= by

    pixels_of(bytes(damaged[: len(damaged) - cut]), media_type)


@given(data=st.binary(max_size=200), media_type=st.sampled_from(list(MAKERS)))
def test_noise_is_no_picture(data: bytes, media_type: str) -> None:
    assert pixels_of(data, media_type) is None
