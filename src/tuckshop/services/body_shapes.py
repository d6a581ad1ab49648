"""What is kept of one call, opened and as staff are shown it."""

from __future__ import annotations

import msgspec

from tuckshop.domain.errors import GoneError, StoreError
from tuckshop.keeping.kept_body import Content, KeptBody
from tuckshop.keeping.seals import Seals, open_body
from tuckshop.protocols.openai.reassembly import answer_of
from tuckshop.services.fields import rfc3339
from tuckshop.services.shapes.kept_bodies import KeptBodyShape


def shape_of(seals: Seals, body: KeptBody, sealed: bytes) -> KeptBodyShape:
    """
    *sealed*, opened. For worker threads.

    Raises:
        GoneError: It opens no more: the person was erased, or it is damaged.
    """
    content = _content(seals, body, sealed)
    return KeptBodyShape(
        id=body.request_id,
        at=rfc3339(body.at_us),
        group=body.group_id,
        member=body.member_id,
        endpoint=content.endpoint,
        is_flagged=body.is_flagged,
        http_status=content.http_status,
        request=_value(content.request),
        reply=_reply(content),
        request_bytes=content.request_bytes,
        reply_bytes=content.reply_bytes,
        is_cut=len(content.request) < content.request_bytes
        or len(content.reply) < content.reply_bytes,
    )


def _content(seals: Seals, body: KeptBody, sealed: bytes) -> Content:
    try:
        return open_body(seals, body, sealed)
    except (ValueError, StoreError) as error:
        raise GoneError(
            f"What is kept of request {body.request_id!r} opens no more: its person was erased, or it is damaged."
        ) from error


def _reply(content: Content) -> object:
    if not content.reply_bytes:
        return None
    if content.is_stream:
        return answer_of(content.reply, is_stream=True, events=content.events)
    return _value(content.reply)


def _value(body: bytes) -> object:
    """*body* as it stands where it is JSON, without a value being made of it: that would hold up others; else text."""
    try:
        body.decode()  # the decoder looks at no letters of what it leaves as it is
        return msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")
