"""`ETag` and `If-Match`: the version that an answer shows, and the one that a change is based on."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

from tuckshop.api.problems import FieldProblem, ProblemError
from tuckshop.services.versions import ANY, Expected

HEADER: Final = "if-match"
# What a client that read an ETag of ours sends.
PATTERN: Final = r'(\*|"[0-9a-f]+"(, ?"[0-9a-f]+")*)'
# RFC 9110, section 8.8.3: a list of tags in quotes. A weak one is read, and equals none.
_TAG: Final = re.compile(r'(?P<weak>W/)?"(?P<tag>[!#-~\x80-\xff]*)"')


def expected_of(request: Request) -> Expected | None:
    """
    The versions that a change may be based on; None: whatever it is.

    Raises:
        ProblemError: 422: the header is no list of tags.
    """
    values = request.headers.getlist(HEADER)
    if not values:
        return None
    parts = [part.strip() for value in values for part in value.split(",")]
    if parts == [ANY]:
        return Expected(frozenset({ANY}))
    tags: set[str] = set()
    for part in parts:
        found = _TAG.fullmatch(part)
        if found is None:
            raise ProblemError(
                422,
                'If-Match: expected the ETag of an earlier answer, in its quotes, or "*" without.',
                errors=[FieldProblem("If-Match", "expected an ETag in its quotes")],
            )
        if not found["weak"]:
            tags.add(found["tag"])
    return Expected(frozenset(tags - {ANY}))
