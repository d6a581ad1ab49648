"""
How many pixels an image has, read from its own header: PNG, JPEG, GIF, WebP.

A header is believed only where every part of it is as the format demands, and where its type is the one that was
stated: what is read here and what a lenient decoder at the provider sees must be the same picture. In all other cases
the answer is None, and the image counts as the largest that can be.

Source: PNG 3rd edition sections 5.2, 5.3, 11.2.1; ITU-T T.81 annex B; GIF89a sections 17 to 23; RFC 9649.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, Literal

Detail = Literal["low", "high", "auto", "original"]
Pixels = tuple[int, int]  # width, height

_SIDE_MAX: Final = 1 << 16  # a longer side is believed of no format
_PNG_DEPTHS: Final = {
    0: (1, 2, 4, 8, 16),
    2: (8, 16),
    3: (1, 2, 4, 8),
    4: (8, 16),
    6: (8, 16),
}
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOS, _EOI, _TEM = 0xDA, 0xD9, 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """An image in a body."""

    path: str  # where it stands
    pixels: Pixels | None  # None: nobody here can tell
    detail: Detail | None  # None: the body does not say
    detail_path: str


def pixels_of(data: bytes, media_type: str) -> Pixels | None:
    """The size of the image *data*, said to be of *media_type*; None: its header is not one to be believed."""
    reader = _READERS.get(media_type)
    if reader is None:
        return None
    try:
        found = reader(data)
    except (IndexError, ValueError):  # it ends within its header
        return None
    if found is None or not all(0 < side <= _SIDE_MAX for side in found):
        return None
    return found


def _png(data: bytes) -> Pixels | None:
    if data[:16] != b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" or len(data) < 33:
        return None
    if zlib.crc32(data[12:29]) != _big(data, 29, 4):
        return None
    depth, colour, compression, filters, interlace = data[24:29]
    if depth not in _PNG_DEPTHS.get(colour, ()) or compression or filters or interlace > 1:
        return None
    return _big(data, 16, 4), _big(data, 20, 4)


def _jpeg(data: bytes) -> Pixels | None:
    """The one frame header before the scan. Two would leave it to the decoder which of them counts."""
    if data[:2] != b"\xff\xd8":
        return None
    found: Pixels | None = None
    at = 2
    while True:
        if data[at] != 0xFF:
            return None
        while data[at] == 0xFF:  # any number of fill bytes
            at += 1
        marker = data[at]
        at += 1
        if marker in (0x00, _TEM, _EOI) or 0xD0 <= marker <= 0xD8:
            return None
        length = _big(data, at, 2)
        if length < 2 or at + length > len(data):
            return None
        if marker == _SOS:
            return found
        if marker in _SOF:
            components = data[at + 7]
            if found is not None or length != 8 + 3 * components:
                return None
            found = _big(data, at + 5, 2), _big(data, at + 3, 2)
        at += length


def _gif(data: bytes) -> Pixels | None:
    """The logical screen, which the first picture must not leave."""
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = _little(data, 6, 2), _little(data, 8, 2)
    at = 13 + _gif_table(data[10])
    while data[at] == 0x21:  # extensions before the picture
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    if data[at] != 0x2C or at + 10 > len(data):
        return None
    left, top, wide, high = (_little(data, at + 1 + 2 * n, 2) for n in range(4))
    fits = wide and high and left + wide <= width and top + high <= height
    return (width, height) if fits else None


def _gif_table(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(data: bytes) -> Pixels | None:
    """The canvas of a still picture; its bitstream must say the same."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or _little(data, 4, 4) + 8 != len(data):
        return None
    canvas: Pixels | None = None
    at = 12
    while at < len(data):
        name, length = data[at : at + 4], _little(data, at + 4, 4)
        chunk = data[at + 8 : at + 8 + length]
        if len(chunk) != length:
            return None
        if name == b"VP8X":
            if canvas is not None or at != 12 or length != 10 or chunk[0] & 0x02:  # animated
                return None
            canvas = _little(chunk, 4, 3) + 1, _little(chunk, 7, 3) + 1
        elif name in (b"VP8 ", b"VP8L"):
            inner = _vp8(chunk) if name == b"VP8 " else _vp8l(chunk)
            return inner if canvas in (None, inner) else None
        elif canvas is None:
            return None
        at += 8 + length + (length & 1)
    return None


def _vp8(chunk: bytes) -> Pixels | None:
    if chunk[0] & 1 or chunk[3:6] != b"\x9d\x01\x2a":  # no key frame
        return None
    # The upper two bits of each are a hint how to scale, which no still picture uses.
    wide, high = _little(chunk, 6, 2), _little(chunk, 8, 2)
    return (wide, high) if wide < 1 << 14 and high < 1 << 14 else None


def _vp8l(chunk: bytes) -> Pixels | None:
    if chunk[0] != 0x2F:
        return None
    bits = _little(chunk, 1, 4)
    if bits >> 29:  # the version
        return None
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _big(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(_slice(data, at, length), "big")


def _little(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(_slice(data, at, length), "little")


def _slice(data: bytes, at: int, length: int) -> bytes:
    piece = data[at : at + length]
    if len(piece) != length:
        raise ValueError("it ends here")
    return piece


_READERS: Final = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/jpg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}
