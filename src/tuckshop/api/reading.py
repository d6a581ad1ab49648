"""Reading what a call sends: query and body, strictly, with every refusal naming the field."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from tuckshop.api.problems import FieldProblem, ProblemError, field_problem
from tuckshop.domain.errors import InvalidRequestBodyError
from tuckshop.protocols.json_body import parse

T = TypeVar("T")

BODY_MAX_BYTES: Final = 4_194_304
_OFF_LOOP_BYTES: Final = 262_144  # a larger body is parsed in a thread


async def body_of(request: Request, media_types: Sequence[str]) -> tuple[bytes, str]:
    """
    The whole body, if it is no larger than is read, and which of *media_types* it is; unsaid, the first.

    Raises:
        ProblemError: 413 or 415.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ProblemError(415, "A content coding on the body is not read: send it plain.")
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    media_type = said or media_types[0]
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > BODY_MAX_BYTES:
                raise ProblemError(413, f"The body is larger than {BODY_MAX_BYTES} bytes.")
            pieces.append(piece)
    except ClientDisconnect:
        raise ProblemError(400, "The body ended early.") from None
    if size and media_type not in media_types:
        raise ProblemError(
            415, f"A body of type {media_type} is not read here: send {' or '.join(media_types)}."
        )
    return b"".join(pieces), media_type


async def decode(body: bytes, kind: type[T]) -> T:
    """
    *body* as a *kind*.

    Raises:
        ProblemError: 400 where it is not unambiguous JSON, 422 where a field is unknown or of a wrong type.
    """
    if len(body) > _OFF_LOOP_BYTES:
        return await asyncio.to_thread(_decode, body, kind)
    decoded: T = _decode(body, kind)
    return decoded


def query_of(request: Request, kind: type[T]) -> T:
    """
    The query as a *kind*. An unknown name is refused: a filter with a typing mistake would show everything.

    Raises:
        ProblemError: 422.
    """
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            raise ProblemError(
                422,
                f"The query states {name} twice.",
                errors=[FieldProblem(name, "is stated twice")],
            )
        found[name] = value
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        problem = field_problem(error)
        raise ProblemError(
            422, f"The query cannot be read: {problem.field}: {problem.message}", errors=[problem]
        ) from None


def check_json(body: bytes) -> None:
    """
    Whether *body* is JSON with one meaning (E5).

    Raises:
        ProblemError: 400.
    """
    # The parser reads objects; a list is looked at as the one member of an object.
    is_list = body.lstrip(b" \t\r\n").startswith(b"[")
    try:
        parse(b'{"":' + body + b"}" if is_list else body)
    except InvalidRequestBodyError as error:
        raise ProblemError(400, f"The body cannot be read: {error.reason}.") from None


def _decode(body: bytes, kind: Any) -> Any:
    check_json(body)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        problem = field_problem(error)
        raise ProblemError(
            422, f"{problem.field or 'The body'}: {problem.message}", errors=[problem]
        ) from None
    except msgspec.DecodeError as error:
        raise ProblemError(400, f"The body cannot be read: {error}.") from None
