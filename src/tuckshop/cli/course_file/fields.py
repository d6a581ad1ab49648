"""Fields in their normal form, by the same functions that the server reads them with, so that both mean the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import msgspec

from tuckshop.services.groups import Groups
from tuckshop.services.roster import member_columns
from tuckshop.services.shapes.groups import GroupChange, GroupShape
from tuckshop.services.shapes.members import MemberChange, MemberShape
from tuckshop.services.shapes.parts import Sent, Shown

_ANY_ZONE: Final = "UTC"  # stands in for the server's default, which is never asked for here


@dataclass(frozen=True)
class Kind:
    """Groups, or members: what can be said of one, and how the server reads it."""

    change: type[Sent]
    shape: type[Shown]
    columns: Callable[[Any], Mapping[str, object]]

    def normal(self, name: str, value: object) -> object:
        """
        *value* of the field *name* so that two which mean the same are equal; None is the default.

        Raises:
            InvalidFieldsError: The server would not take it.
        """
        read = msgspec.convert({name: value}, self.change)
        columns = dict(self.columns(read))
        if columns:
            return columns
        if value is None:
            return self._defaults[name]
        return msgspec.to_builtins(getattr(read, name))

    def printed(self, name: str, value: object) -> object:
        """*value* as the API would show it."""
        columns = dict(self.columns(msgspec.convert({name: value}, self.change)))
        if not columns:
            return self.normal(name, value)
        column = next(iter(columns.values()))
        if isinstance(value, list | Mapping) and isinstance(column, str):
            return msgspec.json.decode(column)
        return column if isinstance(value, str) and isinstance(column, str) else value

    def is_default(self, name: str, value: object) -> bool:
        """Whether *value* is what the field has as long as nobody says anything."""
        return self.normal(name, value) == self.normal(name, None)

    @cached_property
    def _defaults(self) -> Mapping[str, object]:
        found: dict[str, object] = {}
        for field in msgspec.structs.fields(self.shape):
            if field.default is not msgspec.NODEFAULT:
                found[field.name] = msgspec.to_builtins(field.default)
            elif field.default_factory is not msgspec.NODEFAULT:
                found[field.name] = msgspec.to_builtins(field.default_factory())
        return found


def _group_columns(change: GroupChange) -> Mapping[str, object]:
    return Groups.columns_of(change, _ANY_ZONE, compiles=False)


GROUP: Final = Kind(GroupChange, GroupShape, _group_columns)
MEMBER: Final = Kind(MemberChange, MemberShape, member_columns)
