"""Small pictures of every format, made by hand from the formats' own pages."""

from __future__ import annotations

import base64
import struct
import zlib


def png(width: int, height: int, *, depth: int = 8, colour: int = 2) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"


def jpeg(width: int, height: int, *, frames: int = 1, before: int = 10) -> bytes:
    app = b"\xff\xe1" + struct.pack(">H", before + 2) + b"x" * before
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"
    return b"\xff\xd8" + app + (b"\xff\xc0" + frame) * frames + scan + b"\x00\xff\xd9"


def gif(
    width: int, height: int, *, inner: tuple[int, int] | None = None, table: bool = True
) -> bytes:
    wide, high = inner or (width, height)
    screen = struct.pack("<HHBBB", width, height, 0x80 if table else 0, 0, 0)
    colours = b"\x00" * 6 if table else b""
    extension = b"\x21\xf9\x04\x00\x00\x00\x00\x00"
    return (
        b"GIF89a" + screen + colours + extension + struct.pack("<BHHHHB", 0x2C, 0, 0, wide, high, 0)
    )


def webp(
    width: int, height: int, *, kind: str = "VP8 ", canvas: tuple[int, int] | None = None
) -> bytes:
    if kind == "VP8 ":
        inner = b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height)
    else:
        inner = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    chunks = b""
    if canvas is not None:
        sides = b"".join((side - 1).to_bytes(3, "little") for side in canvas)
        chunks += _chunk(b"VP8X", b"\x00\x00\x00\x00" + sides)
    chunks += _chunk(kind.encode(), inner)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def data_url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) & 1)
