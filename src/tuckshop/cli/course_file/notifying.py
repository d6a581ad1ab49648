"""`[group.notify]`: who is mailed of what happens in a group. It is taken as a whole, as the server takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tuckshop.services.notices.notify import addresses_of
from tuckshop.services.shapes.notify import NotifyOrder

Json = Mapping[str, Any]
FIELDS: Final = NotifyOrder.__struct_fields__


def normal(said: Json) -> dict[str, object]:
    """
    What the table *said* means, so that two which mean the same are equal.

    Raises:
        InvalidFieldsError: An address that cannot be written to.
    """
    order = msgspec.convert({name: said[name] for name in FIELDS if name in said}, NotifyOrder)
    return {
        "mails": addresses_of(order),
        "kinds": None if order.kinds is None else sorted(set(order.kinds)),
        "members": order.members,
    }


def written(now: Json) -> dict[str, object]:
    """The table that says what the server has: empty where nobody is mailed."""
    found = normal(now)
    nobody = normal({})
    return {name: value for name, value in found.items() if value != nobody[name]}
