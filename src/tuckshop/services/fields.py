"""
Reading fields: what was sent becomes the values of columns, or a refusal that names the field and what was expected.

Readers take what was sent and give the column's value; they raise InvalidValueError, and `Columns`
adds the field's name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

import msgspec
from msgspec import UnsetType, structs

from tuckshop.domain.actor import STAFF_ROLES
from tuckshop.domain.body_logging import NO_LOGGING, Logging
from tuckshop.domain.clock import US_PER_SECOND
from tuckshop.domain.errors import InvalidFieldError, InvalidFieldsError
from tuckshop.domain.limits import LimitSyntaxError, Metric, Selector, parse_limit
from tuckshop.domain.money import parse_usd
from tuckshop.domain.windows import check_zone
from tuckshop.services.shapes.parts import Instant
from tuckshop.storage.rows import text_of_list, text_of_part

T = TypeVar("T")

TEXT_MAX_CHARACTERS: Final = 200
TAG_MAX_CHARACTERS: Final = 64
OVERLAP_MAX_S: Final = 30 * 86_400

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_NAME_EXPECTED: Final = (
    "expected 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
)
_DOLLARS_EXPECTED: Final = "expected an amount such as $0.50"
_MODEL_GLOB: Final = re.compile(r"[!-~]{1,128}")  # visible ASCII
_ENDPOINT_GLOB: Final = re.compile(r"[a-z0-9_.*-]{1,64}")
_DURATION: Final = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Of the years 1 to 9999, which is all that can be shown.
_FIRST_US: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST_US: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class InvalidValueError(ValueError):
    """What was sent cannot be taken; `place` points into a list: ``[2]``."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class Columns:
    """Gathers the columns that a change sets, and everything that is wrong with it."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self._errors: list[InvalidFieldError] = []

    def set(
        self,
        field: str,
        sent: T | UnsetType | None,
        read: Callable[[T], object],
        *,
        unset: object = None,
        column: str | None = None,
    ) -> None:
        """Read *field* into *column*; ``null`` sets *unset*, and nothing sent changes nothing."""
        if isinstance(sent, UnsetType):
            return
        if sent is None:
            self.values[column or field] = unset
            return
        try:
            self.values[column or field] = read(sent)
        except InvalidValueError as error:
            self.refuse(field + error.place, str(error))

    def refuse(self, field: str, message: str) -> None:
        """Note that *field* cannot be taken."""
        self._errors.append(InvalidFieldError(field, message))

    def check(self) -> dict[str, object]:
        """
        The columns to set.

        Raises:
            InvalidFieldsError: Fields that cannot be taken, all of them.
        """
        if self._errors:
            raise InvalidFieldsError(tuple(self._errors))
        return self.values


def same(value: T) -> T:
    """For a field that is stored as it was sent."""
    return value


def text(value: str) -> str:
    """A line of free text, trimmed."""
    value = unicodedata.normalize("NFC", value).strip()
    if len(value) > TEXT_MAX_CHARACTERS:
        raise InvalidValueError(f"is too long: at most {TEXT_MAX_CHARACTERS} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value):
        raise InvalidValueError("holds a line break or another control character")
    return value


def paragraphs(value: str) -> str:
    """Free text of several lines, trimmed."""
    value = unicodedata.normalize("NFC", value).replace("\r\n", "\n").replace("\r", "\n").strip()
    unseen = (one for one in value if one not in "\n\t")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in unseen):
        raise InvalidValueError("holds a control character")
    return value


def external_id(value: str) -> str:
    """What the institution calls a person."""
    value = text(value)
    if not value:
        raise InvalidValueError("is empty")
    return value


def email(value: str) -> str:
    """An address, looked at only as far as no valid one is refused."""
    value = text(value)
    name, at, host = value.rpartition("@")
    if not (at and name and host) or any(character.isspace() for character in value):
        raise InvalidValueError(f"{value!r} is not an e-mail address")
    return value


def group_name(value: str) -> str:
    """A name that stands in addresses and files."""
    if not _NAME.fullmatch(value):
        raise InvalidValueError(f"{_NAME_EXPECTED}; free text goes into title")
    return value


def upstream_name(value: str) -> str:
    """A name that stands before a model's."""
    if not _NAME.fullmatch(value):
        raise InvalidValueError(_NAME_EXPECTED)
    return value


def zone_name(value: str) -> str:
    """An IANA time zone."""
    try:
        check_zone(value)
    except ValueError:
        raise InvalidValueError(
            f"{value!r} is not an IANA time zone such as Europe/Berlin"
        ) from None
    return value


def logging(value: Logging) -> str | None:
    """What is kept of bodies; the default is no value at all."""
    purpose = text(value.purpose)
    readers = tuple(sorted(set(value.readers), key=STAFF_ROLES.index))
    if value.bodies != "off" and not purpose:
        raise InvalidValueError(
            "is needed: say what bodies are kept for, such as 'appeals against flags'", ".purpose"
        )
    if value.bodies != "off" and not readers:
        raise InvalidValueError("is empty: name who may read what is kept", ".readers")
    normal = structs.replace(value, purpose=purpose, readers=readers)
    return None if normal == NO_LOGGING else text_of_part(normal)


def limits(values: Sequence[str]) -> str:
    """Limits as people write them, as the JSON list of their long forms."""
    printed: list[str] = []
    for place, value in enumerate(values):
        try:
            long_form = str(parse_limit(value))
        except LimitSyntaxError as error:
            raise InvalidValueError(str(error), f"[{place}]") from None
        if long_form not in printed:
            printed.append(long_form)
    return text_of_list(printed)


def models(values: Sequence[str]) -> str:
    """An allow-list of model globs."""
    return _listed(values, _MODEL_GLOB, "a model id or glob such as gpt-4o* (visible ASCII)")


def endpoints(values: Sequence[str]) -> str:
    """An allow-list of globs of endpoint groups."""
    return _listed(values, _ENDPOINT_GLOB, "an endpoint group such as chat, or a glob of groups")


def tags(values: Sequence[str]) -> str:
    """Words to find a key by."""
    found: list[str] = []
    for place, value in enumerate(values):
        tag = text(value)
        if not tag or len(tag) > TAG_MAX_CHARACTERS:
            raise InvalidValueError(f"expected 1 to {TAG_MAX_CHARACTERS} characters", f"[{place}]")
        if tag not in found:
            found.append(tag)
    return text_of_list(found)


def seconds(value: str) -> int:
    """A stretch of time such as ``24h``, ``90m``, ``7d``."""
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise InvalidValueError(f"{value!r} is not a stretch of time such as 24h, 90m or 7d")
    return int(match[1]) * _SECONDS[match[2]]


def overlap(value: str) -> int:
    """How long the secret before still opens, in seconds."""
    length_s = seconds(value)
    if length_s > OVERLAP_MAX_S:
        raise InvalidValueError(f"is too long: at most {OVERLAP_MAX_S // 86_400} days")
    return length_s


def money(value: Decimal) -> int:
    """An amount of US dollars above 0, in nano-USD."""
    # The magnitude is looked at before the digits are written out.
    if not value.is_finite() or value <= 0 or value.adjusted() > 12:
        raise InvalidValueError("expected an amount of US dollars above 0, such as 0.5")
    try:
        return parse_usd(f"{value:f}")
    except ValueError as error:
        raise InvalidValueError(str(error)) from None


def dollars(value: str) -> int:
    """An amount as a limit states it, ``$0.50``; in nano-USD."""
    try:
        limit = parse_limit(f"{value.strip()} total")
    except LimitSyntaxError as error:
        raise InvalidValueError(f"{_DOLLARS_EXPECTED}; {error}") from None
    if limit.metric is not Metric.MONEY or limit.selector != Selector():
        raise InvalidValueError(_DOLLARS_EXPECTED)
    return limit.amount


def instant(value: datetime) -> int:
    """Microseconds since 1970 of an aware time, which its zone must not lead out of the years that can be shown."""
    at_us = (value - _EPOCH) // timedelta(microseconds=1)
    if not _FIRST_US <= at_us <= _LAST_US:
        raise InvalidValueError("is not within the years 1 to 9999 in UTC")
    return at_us


def instant_of_text(value: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time with its zone, or of the start of a day in UTC."""
    if _DAY.fullmatch(value):
        value += "T00:00:00Z"
    try:
        return instant(msgspec.convert(value, Instant))
    except (msgspec.ValidationError, OverflowError):
        raise InvalidValueError(
            f"{value!r} is not a time such as 2026-11-30T23:00:00Z, nor a day such as 2026-11-30"
        ) from None


def rfc3339(at_us: int) -> str:
    """An instant as the API writes it, in UTC; fractions only where there are any."""
    at = _EPOCH + timedelta(microseconds=at_us)
    timespec = "microseconds" if at_us % US_PER_SECOND else "seconds"
    return at.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def _listed(values: Sequence[str], pattern: re.Pattern[str], expected: str) -> str:
    for place, value in enumerate(values):
        if not pattern.fullmatch(value):
            raise InvalidValueError(f"{value!r} is not {expected}", f"[{place}]")
    return text_of_list(list(dict.fromkeys(values)))
