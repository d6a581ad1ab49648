"""Lists as files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest
from starlette.responses import StreamingResponse

from tuckshop.api.routing import CSV_TYPE, NDJSON_TYPE
from tuckshop.api.tables import table

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def nothing() -> AsyncIterator[Sequence[msgspec.Struct]]:
    return
    yield ()


@pytest.mark.parametrize(("kind", "expected"), [(CSV_TYPE, b"id,at\r\n"), (NDJSON_TYPE, b"")])
async def test_a_list_without_rows_is_a_file_too(kind: str, expected: bytes) -> None:
    """CPython 3.11 raised SystemError here."""
    response = await table("flags", ("id", "at"), nothing(), kind)

    assert isinstance(response, StreamingResponse)
    sent = [piece async for piece in response.body_iterator]
    assert b"".join(piece for piece in sent if isinstance(piece, bytes)) == expected
    assert all(isinstance(piece, bytes) for piece in sent)
