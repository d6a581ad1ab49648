"""
The most input tokens that an image can be billed, by the rule of its model.

The rules are the provider's published ones (docs/reference/pricing.md); which rule a model follows is data of the price
list. Rounding is always to the dear side, and where pages and bills were seen to differ the dearer is taken: the
result is a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ImageRule = Literal[
    "tiles-85-170",
    "tiles-2833-5667",
    "tiles-70-140",
    "tiles-75-150",
    "patches-1536-x1.62",
    "patches-1536-x2.46",
    "patches-1536-x1.72",
    "patches-1536-x1.2",
    "patches-10000-x1.2",
    "patches-unlimited-x1.2",
    "flat-1844",
    "flat-2489",
]

_FIT: Final = 2048  # both sides are scaled down to this first
_SHORT: Final = 768  # then the short side to this; nobody says that smaller ones are not scaled up
_TILE: Final = 512
_TILES_MAX: Final = 8
_PATCH: Final = 32
_HIGH_PATCHES: Final = 2_500  # what `high` comes to where `original` is larger


@dataclass(frozen=True, slots=True)
class _Tiles:
    base: int
    per_tile: int


@dataclass(frozen=True, slots=True)
class _Patches:
    most: int | None  # None: as many as the picture has
    hundredths: int  # tokens per 100 patches


@dataclass(frozen=True, slots=True)
class _Flat:
    tokens: int


_RULES: Final[dict[ImageRule, _Tiles | _Patches | _Flat]] = {
    "tiles-85-170": _Tiles(85, 170),
    "tiles-2833-5667": _Tiles(2_833, 5_667),
    "tiles-70-140": _Tiles(70, 140),
    "tiles-75-150": _Tiles(75, 150),
    "patches-1536-x1.62": _Patches(1_536, 162),
    "patches-1536-x2.46": _Patches(1_536, 246),
    "patches-1536-x1.72": _Patches(1_536, 172),
    "patches-1536-x1.2": _Patches(1_536, 120),
    "patches-10000-x1.2": _Patches(10_000, 120),
    "patches-unlimited-x1.2": _Patches(None, 120),
    "flat-1844": _Flat(1_844),
    "flat-2489": _Flat(2_489),
}


def image_tokens(
    rule: ImageRule, *, pixels: tuple[int, int] | None, detail: str | None
) -> int | None:
    """
    The most tokens of an image with these *pixels* (None: unknown) at this *detail* (None: not said).

    Returns:
        None where nothing bounds it: such a model takes every pixel, and how many there are is not known.
    """
    match _RULES[rule]:
        case _Tiles(base, per_tile):
            if detail == "low":
                return base
            return base + per_tile * (_TILES_MAX if pixels is None else _tiles(*pixels))
        case _Patches(most, hundredths):
            limits = [most] if most is not None else []
            if detail in ("low", "high"):
                limits.append(_HIGH_PATCHES)
            if pixels is not None:
                limits.append(_ceil(pixels[0], _PATCH) * _ceil(pixels[1], _PATCH))
            return _ceil(min(limits) * hundredths, 100) if limits else None
        case _Flat(tokens):
            return tokens


def _tiles(width: int, height: int) -> int:
    longer, shorter = max(width, height), min(width, height)
    if longer > _FIT:
        # Down: whoever rounds the short side down here makes the long one longer in the next step.
        longer, shorter = _FIT, max(1, shorter * _FIT // longer)
    longer = _ceil(longer * _SHORT, shorter)
    return min(_TILES_MAX, _ceil(longer, _TILE) * _ceil(_SHORT, _TILE))


def _ceil(number: int, by: int) -> int:
    return -(-number // by)
