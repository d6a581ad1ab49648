"""A request and its reply as they are kept: one row, and the content that is packed and sealed in it."""

from __future__ import annotations

import sys
from typing import Final

import msgspec

from tuckshop.protocols.endpoints import Events

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL: Final = 3
# Of one content, unpacked: what a row says about its size is believed only up to here.
UNPACKED_MAX_BYTES: Final = 256 << 20


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What was said. Bodies longer than is kept are cut off; their whole length stands beside them."""

    endpoint: str
    events: Events  # how this endpoint streams
    request: bytes
    request_bytes: int
    reply: bytes
    reply_bytes: int
    is_stream: bool
    http_status: int | None  # None: it was not sent


class KeptBody(msgspec.Struct, frozen=True, kw_only=True):
    """The row around a content: whose it is and since when, for finding it and for deleting it."""

    request_id: str
    workspace_id: str
    group_id: str
    member_id: str
    at_us: int
    is_flagged: bool


class Packer:
    """Packs contents one after the other. Belongs to one thread."""

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._compressor = zstd.ZstdCompressor(LEVEL)  # made once: a new one costs more than a body

    def pack(self, content: Content) -> bytes:
        """*content*, compressed."""
        return self._compressor.compress(
            self._encoder.encode(content), zstd.ZstdCompressor.FLUSH_FRAME
        )


def unpack(packed: bytes) -> Content:
    """
    What `Packer.pack` made.

    Raises:
        ValueError: It is not whole.
    """
    opener = zstd.ZstdDecompressor()
    try:
        content = opener.decompress(packed, UNPACKED_MAX_BYTES)
        if not opener.eof:
            raise ValueError("it is cut off, or too long")
        return msgspec.msgpack.decode(content, type=Content)
    except (zstd.ZstdError, msgspec.DecodeError) as error:
        raise ValueError(f"it does not unpack: {error}") from error
