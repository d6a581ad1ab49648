"""
Reading an export: JSON as an API gives it or CSV of a database's table, and what both gateways have in common.

Money is read as decimals and never becomes a float. Pure: bytes in and values out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from tuckshop.domain.errors import TuckshopError
from tuckshop.domain.keys import digest_of
from tuckshop.services.shapes.groups import NewGroup
from tuckshop.services.shapes.takeover import TakenKey, TakenMember, Takeover

Row = Mapping[str, Any]

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_NANO: Final = Decimal("0.000000001")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_NOT_NAME: Final = re.compile(r"[^a-z0-9._-]+")
# Columns of the tables that hold lists; PostgreSQL writes them as {a,"b c"}.
_ARRAY: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,{}"]+)')
# What is said between `/v1/` and the end of a path → the endpoint group it belongs to.
_ENDPOINTS: Final[Mapping[str, str]] = {
    "chat/completions": "chat",
    "completions": "completions",
    "responses": "responses",
    "embeddings": "embeddings",
    "moderations": "moderations",
    "images": "images",
    "audio": "audio",
    "models": "models",
    "files": "files",
    "batches": "batches",
    "vector_stores": "vector_stores",
    "realtime": "realtime",
}


class ExportError(TuckshopError):
    """A file is not an export that can be read; says what was expected."""


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is not carried over."""

    what: str  # the field
    name: str  # whose
    reason: str


@dataclass(slots=True)
class Carried:
    """What an export holds, in our words, and what of it is left."""

    gateway: str
    groups: dict[str, NewGroup] = field(default_factory=dict)
    members: dict[tuple[str, str], TakenMember] = field(default_factory=dict)
    keys: dict[str, TakenKey] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)

    def leave(self, what: str, name: str, reason: str) -> None:
        """Note what is not carried over."""
        self.left.append(Left(what, name, reason))

    def document(self) -> Takeover:
        """What is sent to the server."""
        return Takeover(
            gateway=self.gateway,
            groups=list(self.groups.values()),
            members=list(self.members.values()),
            keys=list(self.keys.values()),
        )


def rows_of(raw: bytes) -> Iterator[Row]:
    """
    The rows of a file: of a list, of the lists in an answer, or of a table.

    Raises:
        ExportError: It is none of them.
    """
    text = raw.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text.startswith((b"{", b"[")):
        yield from _table_rows(text)
        return
    try:
        yield from _json_rows(_DECODER.decode(text))
    except msgspec.DecodeError as error:
        raise ExportError(f"is not JSON: {error}") from None


def _json_rows(value: Any) -> Iterator[Row]:
    if isinstance(value, list):
        for one in value:
            if isinstance(one, str):
                raise ExportError(
                    "lists keys as bare hashes: export whole objects (return_full_object=true)"
                )
            yield from _json_rows(one)
        return
    if not isinstance(value, dict):
        raise ExportError("is no list of objects")
    is_row = "team_id" in value or "user_id" in value or "keyId" in value
    parts = [
        part
        for name in ("keys", "teams", "users", "data")
        # A row of a person lists the ids of their teams by the same name.
        if isinstance(part := value.get(name), list)
        and not (is_row and any(isinstance(one, str) for one in part))
    ]
    info = value.get("team_info")
    if isinstance(info, dict):
        yield {**info, "team_memberships": value.get("team_memberships") or []}
    elif is_row or not parts:
        yield value
    for part in parts:
        yield from _json_rows([one for one in part if one is not None])


def _table_rows(text: bytes) -> Iterator[Row]:
    try:
        reader = csv.DictReader(io.StringIO(text.decode("utf-8"), newline=""), strict=True)
        names = reader.fieldnames or ()
        if len(names) < 3:
            raise ExportError("is neither JSON nor a table with a header row")
        for row in reader:
            yield {name: _cell(value) for name, value in row.items() if name is not None}
    except (UnicodeDecodeError, csv.Error) as error:
        raise ExportError(f"cannot be read as CSV: {error}") from None


def _cell(value: str | None) -> Any:
    """A cell as PostgreSQL writes it."""
    if value is None or value in ("", "NULL", "\\N"):
        return None
    if value in ("t", "true", "f", "false"):
        return value[0] == "t"
    if value.startswith(("{", "[")):
        try:
            return _DECODER.decode(value.encode())
        except msgspec.DecodeError:
            return [quoted.replace('\\"', '"') or plain for quoted, plain in _ARRAY.findall(value)]
    return value


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────


def decimal(value: object) -> Decimal | None:
    """
    A number, exact; None: there is none.

    Raises:
        ExportError: It is something else.
    """
    if value is None or isinstance(value, bool):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise ExportError(f"has {value!r} where a number was expected") from None
    if not found.is_finite():
        raise ExportError(f"has {value!r} where a number was expected")
    return found


def usd(amount: Decimal) -> str:
    """An amount as limits are written, to a nano-dollar, rounded down; never below nothing."""
    text = f"{max(amount, Decimal(0)).quantize(_NANO, ROUND_DOWN):f}"
    return f"${text.rstrip('0').rstrip('.')}"


def count(value: object) -> int | None:
    """A whole number of something; None: there is none."""
    found = decimal(value)
    return None if found is None else max(0, int(found))


def texts(value: object) -> list[str]:
    """A list of text; an empty object, which a table may hold in its place, is an empty one."""
    return [str(one) for one in value if one is not None] if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """An object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def instant(value: object) -> datetime | None:
    """
    A time; without a zone it is in UTC. None: there is none.

    Raises:
        ExportError: It is something else.
    """
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(str(value).replace(" UTC", "+00:00"))
    except ValueError:
        raise ExportError(f"has {value!r} where a time was expected") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def digest(value: object) -> str | None:
    """The SHA-256 that a key is kept by; of a secret in clear, its own. None: it is neither."""
    text = str(value or "")
    if _HEX.fullmatch(text):
        return text
    return digest_of(text).hex() if text.startswith("sk-") else None


def group_name(text: str) -> str:
    """*text* as the name of a group."""
    return _NOT_NAME.sub("-", text.lower()).strip("-._")[:63].strip("-._") or "team"


def models(values: list[str]) -> list[str]:
    """An allow-list of models by the names they have here: without the provider's prefix."""
    return list(dict.fromkeys(value.removeprefix("openai/") for value in values))


def endpoint_of(path: str) -> str | None:
    """The endpoint group that a path of an API belongs to; None: no other path of ours does the same."""
    said = path.partition("/v1/")[2] if "/v1/" in path else path.strip("/")
    return next(
        (
            group
            for start, group in _ENDPOINTS.items()
            if said == start or said.startswith(f"{start}/")
        ),
        None,
    )
