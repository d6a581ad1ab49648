"""Errors of the admin API as `application/problem+json` (RFC 9457), each with a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Final

import msgspec
from starlette.responses import Response

from tuckshop.domain.errors import (
    ConflictError,
    GoneError,
    InvalidApiKeyError,
    InvalidFieldError,
    InvalidFieldsError,
    NotFoundError,
    NotPermittedError,
    RateLimitExceededError,
    RefusalError,
    ServerBusyError,
    StaleVersionError,
    TooOftenError,
    TuckshopError,
)
from tuckshop.protocols.sentences import sentence

CONTENT_TYPE: Final = "application/problem+json"
HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}
# How msgspec says where in a body it stopped: "… - at `$.each[0]`".
_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<where>.*?)`)?", re.DOTALL)
_NAMED: Final = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>.*)`")


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a call was refused."""

    type: str  # about:blank: the status says which kind of problem it is
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []


class ProblemError(TuckshopError):
    """A call that the face itself refuses: credential, framing of the body, query."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}


def respond(
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that tells a problem."""
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=list(errors),
    )
    return Response(
        msgspec.json.encode(problem),
        status_code=status,
        media_type=CONTENT_TYPE,
        headers={**HEADERS, **(headers or {})},
    )


def of_error(error: TuckshopError) -> Response:
    """The answer to what a service raised on purpose."""
    match error:
        case ProblemError():
            return respond(error.status, error.detail, errors=error.errors, headers=error.headers)
        case NotFoundError():
            return respond(404, str(error))
        case NotPermittedError():
            return respond(403, str(error))
        case GoneError():
            return respond(410, str(error))
        case ConflictError():
            return respond(409, str(error))
        case TooOftenError():
            return respond(
                429,
                str(error),
                headers={"retry-after": str(max(1, ceil(error.retry_after_s)))},
            )
        case StaleVersionError():
            return respond(
                412, f"{error} Read it again, and send the change with the ETag that it has now."
            )
        case InvalidFieldError():
            return invalid([FieldProblem(error.field, error.message)])
        case InvalidFieldsError():
            return invalid([FieldProblem(one.field, one.message) for one in error.errors])
        case ServerBusyError():
            return respond(
                503,
                f"The server cannot take this now: {error.reason}. Try again a little later.",
                headers={"retry-after": str(max(1, round(error.retry_after_s)))},
            )
        case InvalidApiKeyError():
            return respond(
                401,
                f"No: {error.reason}. Send a key as Authorization: Bearer KEY.",
                headers={"www-authenticate": "Bearer"},
            )
        case RateLimitExceededError():
            return respond(
                429,
                "This key asks too often: wait a little.",
                headers={"retry-after": str(max(1, ceil(error.retry_after_s)))},
            )
        case RefusalError():
            return respond(error.status, f"{type(error).__doc__}")
        case _:
            return respond(503, f"The server cannot take this now: {error}")


def refused(error: RefusalError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, header fields and body that tell what the edge refuses: framing, size, time, a path that is not clean."""
    headers = [(b"content-type", CONTENT_TYPE.encode())]
    headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    if isinstance(error, ServerBusyError):
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    status = error.status
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=sentence(error),
    )
    return status, headers, msgspec.json.encode(problem)


def invalid(errors: Sequence[FieldProblem]) -> Response:
    """Values that cannot be taken: nothing was changed."""
    first = errors[0]
    detail = f"{first.field}: {first.message}" if first.field else first.message
    if len(errors) > 1:
        detail += f" (and {len(errors) - 1} more)"
    return respond(422, detail, errors=errors)


def field_problem(error: msgspec.ValidationError) -> FieldProblem:
    """What msgspec found, with the field taken out of its sentence."""
    match = _PLACE.fullmatch(str(error))
    what, where = (match["what"], match["where"] or "") if match else (str(error), "")
    named = _NAMED.fullmatch(what)
    if named:
        missing = "missing" in what
        where = f"{where}.{named['name']}" if where else named["name"]
        what = "is required" if missing else "there is no such field"
    return FieldProblem(where, what)
