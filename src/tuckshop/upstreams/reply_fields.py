"""The fields of a reply's head that concern anybody, here or above. All others are neither cut out nor told."""

from __future__ import annotations

import re
from typing import Final

from tuckshop.upstreams.exchange import Headers

_FIELD: Final = re.compile(
    rb"\r\n((?i:content-(?:length|type|encoding)|transfer-encoding|keep-alive|x-request-id|retry-after(?:-ms)?))"
    rb":[ \t]*([^\r]*)"
)


class MalformedReplyError(Exception):
    """What came is no reply; raised within the parser's callbacks."""


def reply_fields(head: bytes, most: int) -> Headers:
    """
    The fields of *head* that concern anybody, names in lower case.

    The parser has found it sound; fields are found here, because a call of Python per field costs more than all the
    rest of the reading. A field that goes on in the next line, or a line end of another kind, could be cut in two
    ways, so neither is taken.

    Raises:
        MalformedReplyError: It has such a line, or more than *most* fields.
    """
    ends = head.count(b"\r\n")
    if ends > most:
        raise MalformedReplyError("too many header fields")
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\n " in head or b"\n\t" in head:
        raise MalformedReplyError("a field of more than one line")
    return [(name.lower(), value.rstrip(b" \t")) for name, value in _FIELD.findall(head)]
