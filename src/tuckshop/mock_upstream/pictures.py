"""
What the made-up provider counts for a picture going in, by the published formulas (read 2026-11).

It looks at the bytes as leniently as decoders do; a picture behind an address is as large as the address says in
`?size=1024x768`, else 1024 by 1024.
"""

from __future__ import annotations

import base64
import math
import re
from typing import Any, Final

from tuckshop.mock_upstream.errors import ApiError, wrong_type, wrong_value

_DETAILS: Final = ("low", "high", "auto", "original")
_SIZE: Final = re.compile(r"[?&]size=(\d{1,5})x(\d{1,5})")
_DATA: Final = re.compile(r"data:image/(png|jpeg|jpg|gif|webp);base64,")

# Beginning of the name: (base, per tile) or (most patches, factor); the first that fits.
_TILES: Final = (
    ("gpt-4o-mini", 2833, 5667),
    ("gpt-4o", 85, 170),
    ("gpt-4-turbo", 85, 170),
    ("gpt-5-chat", 70, 140),
    ("gpt-5-pro", 70, 140),
    ("o1", 75, 150),
    ("o3", 75, 150),
)
_PATCHES: Final = (
    ("gpt-4.1-mini", 1536, 1.62),
    ("gpt-5-mini", 1536, 1.62),
    ("gpt-5.4-mini", 1536, 1.62),
    ("gpt-4.1-nano", 1536, 2.46),
    ("gpt-5-nano", 1536, 2.46),
    ("gpt-5.4-nano", 1536, 2.46),
    ("o4-mini", 1536, 1.72),
    ("gpt-5.2", 1536, 1.2),
    ("gpt-5.3-codex", 1536, 1.2),
    ("gpt-5.4", 10_000, 1.0),
    ("gpt-5.5", 10_000, 1.0),
    ("gpt-5.6", None, 1.0),
    ("gpt-6", None, 1.0),
)


def picture_tokens(url: Any, detail: Any, model: str, where: str) -> int:
    """
    Tokens of the picture at *url*.

    Raises:
        ApiError: It is none, or cannot be read.
    """
    if not isinstance(url, str):
        raise wrong_type(where, "a string", url)
    if detail is not None and detail not in _DETAILS:
        raise wrong_value(where, f"Invalid value: '{detail}'.")
    width, height = _size_of(url, where)
    for start, most, factor in _PATCHES:
        if model.startswith(start):
            patches = math.ceil(width / 32) * math.ceil(height / 32)
            if detail in ("low", "high"):
                most = min(most or 2500, 2500)
            counted = (patches if most is None else min(patches, most)) * factor
            return math.ceil(round(counted, 6))
    for start, base, per_tile in _TILES:
        if model.startswith(start):
            return base if detail == "low" else base + per_tile * _tiles(width, height)
    if model.startswith("gpt-4.1"):
        return 85 if detail == "low" else 85 + 170 * _tiles(width, height)
    if model.startswith("gpt-5"):
        return 70 if detail == "low" else 70 + 140 * _tiles(width, height)
    raise ApiError(
        400,
        "Invalid content type. image_url is only supported by certain models.",
        param=where,
    )


def _tiles(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    width_, height_ = width * scale, height * scale
    scale = min(1.0, 768 / min(width_, height_))
    return math.ceil(round(width_ * scale) / 512) * math.ceil(round(height_ * scale) / 512)


def _size_of(url: str, where: str) -> tuple[int, int]:
    if url.startswith(("http://", "https://")):
        found = _SIZE.search(url)
        return (int(found[1]), int(found[2])) if found else (1024, 1024)
    head = _DATA.match(url)
    try:
        data = base64.b64decode(url[head.end() :]) if head else b""
        width, height = _pixels(data)
    except (ValueError, IndexError):
        width = height = 0
    if not width or not height:
        raise ApiError(
            400,
            "You uploaded an unsupported image. Please make sure your image has of one the following formats:"
            " ['png', 'jpeg', 'gif', 'webp'].",
            param=where,
            code="invalid_image_format",
        )
    return width, height


def _pixels(data: bytes) -> tuple[int, int]:
    if data.startswith(b"\x89PNG"):
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data.startswith(b"GIF8"):
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if data[8:12] == b"WEBP":
        at = data.index(b"VP8")
        kind, body = data[at : at + 4], data[at + 8 :]
        if kind == b"VP8X":
            return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
        if kind == b"VP8L":
            bits = int.from_bytes(body[1:5], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(
            body[8:10], "little"
        ) & 0x3FFF
    at = 2
    while data[:2] == b"\xff\xd8":
        if 0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(
                data[at + 5 : at + 7], "big"
            )
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("no picture")
