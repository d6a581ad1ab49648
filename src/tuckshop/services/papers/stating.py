"""What the operator states for the papers: read, change."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET
from sqlalchemy import select, update

from tuckshop.domain.actor import Actor
from tuckshop.domain.errors import InvalidFieldError, InvalidFieldsError
from tuckshop.domain.privacy import NO_PROVIDER, NO_STATEMENT, PrivacyStatement
from tuckshop.services.changes import Changes, Edit
from tuckshop.services.directory import Directory
from tuckshop.services.fields import InvalidValueError
from tuckshop.services.shapes.papers import PrivacyChange, PrivacyShape, ProviderChange
from tuckshop.services.versions import Expected
from tuckshop.storage.rows import part_of_text, text_of_part
from tuckshop.storage.schema import workspaces

LINE_MAX_CHARACTERS: Final = 1_000
PROVIDERS_MAX: Final = 50
_OF_A_LINE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


class Stating:
    """What the operator does with it."""

    def __init__(self, changes: Changes, directory: Directory) -> None:
        self._changes = changes
        self._directory = directory

    async def get(self) -> PrivacyShape:
        """What is stated."""
        return _shape(self._directory.workspace.privacy)

    async def change(
        self, actor: Actor, change: PrivacyChange, *, expected: Expected | None = None
    ) -> PrivacyShape:
        """
        Change any part of it.

        Raises:
            InvalidFieldsError: Fields that cannot be taken; then nothing is changed.
            StaleVersionError: It is another version than *expected*.
        """
        known = {record.name for record in self._directory.upstreams()}

        def work(edit: Edit) -> None:
            query = select(workspaces.c.privacy).where(workspaces.c.id == edit.workspace_id)
            column = edit.connection.execute(query).scalar_one()
            before = part_of_text(column, PrivacyStatement) or NO_STATEMENT
            if expected is not None:
                expected.check(edit, _shape(before), edit.workspace_id)
            after = _changed(before, change, known)
            if after == before:
                return
            edit.connection.execute(
                update(workspaces)
                .where(workspaces.c.id == edit.workspace_id)
                .values(privacy=None if after == NO_STATEMENT else text_of_part(after))
            )
            # Which fields, and not what they say: some name people (P8).
            names = [n for n in after.__struct_fields__ if getattr(before, n) != getattr(after, n)]
            edit.audit("privacy.change", edit.workspace_id, None, {"fields": names})
            edit.touch(edit.workspace_id)

        await self._changes.make(actor, work)
        return await self.get()


def _changed(before: PrivacyStatement, change: PrivacyChange, known: set[str]) -> PrivacyStatement:
    errors: list[InvalidFieldError] = []
    fields = _lines(change, "", errors)
    if fields.get("notice_url"):
        try:
            _check_url(fields["notice_url"])
        except InvalidValueError as error:
            errors.append(InvalidFieldError("notice_url", str(error)))
    providers = dict(before.providers)
    for name, sent in ({} if change.providers is UNSET else change.providers).items():
        place = f"providers.{name}"
        if sent is None:
            providers.pop(name, None)
        elif name not in known and name not in providers:
            errors.append(InvalidFieldError(place, "there is no upstream of this name"))
        else:
            was = providers.get(name, NO_PROVIDER)
            stated = msgspec.structs.replace(was, **_lines(sent, f"{place}.", errors))
            providers[name] = stated
    providers = {name: one for name, one in sorted(providers.items()) if one != NO_PROVIDER}
    if len(providers) > PROVIDERS_MAX:
        errors.append(InvalidFieldError("providers", f"expected at most {PROVIDERS_MAX}"))
    if errors:
        raise InvalidFieldsError(tuple(errors))
    return msgspec.structs.replace(before, **fields, providers=providers)


def _lines(
    sent: PrivacyChange | ProviderChange, place: str, errors: list[InvalidFieldError]
) -> dict[str, Any]:
    """The lines of text that *sent* sets."""
    found: dict[str, str] = {}
    values: Mapping[str, object] = msgspec.structs.asdict(sent)
    for name, value in values.items():
        if value is None:
            found[name] = ""
        elif isinstance(value, str):
            try:
                found[name] = _line(value)
            except InvalidValueError as error:
                errors.append(InvalidFieldError(place + name, str(error)))
    return found


def _line(value: str) -> str:
    value = unicodedata.normalize("NFC", value).strip()
    if len(value) > LINE_MAX_CHARACTERS:
        raise InvalidValueError(f"is too long: at most {LINE_MAX_CHARACTERS:,} characters")
    if any(unicodedata.category(character) in _OF_A_LINE for character in value):
        raise InvalidValueError("holds a line break or another control character; use commas")
    return value


def _check_url(text: str) -> None:
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc or " " in text:
        raise InvalidValueError("is not an address such as https://uni.example.org/privacy")
    if parts.username or parts.password:
        raise InvalidValueError("holds a user or a password, and everybody is told it")


def _shape(stated: PrivacyStatement) -> PrivacyShape:
    fields: dict[str, Any] = {
        name: getattr(stated, name) for name in PrivacyStatement.__struct_fields__
    }
    return PrivacyShape(**fields)
