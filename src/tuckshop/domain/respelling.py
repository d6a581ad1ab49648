"""When people look like known ones with their ids spelled in another way: that would be a fresh budget (M14)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tuckshop.domain.external_id import folded

# A list of few new people is a late enrolment; one that is mostly new to a group of many has respelled ids.
_NEW_MANY: Final = 5
_EXAMPLES: Final = 3


def questions(
    people: Sequence[tuple[str, str]], known: Iterable[str], *, tells_ids: bool = True
) -> Iterator[str]:
    """
    What has to be asked before *people* are added.

    Args:
        people: (where it stands, external id), each person once.
        known: External ids of the group, archived members' included.
        tells_ids: Whether the questions may say how they are spelled.
    """
    known_ids = {folded(external_id): external_id for external_id in known}
    new = [(where, one) for where, one in people if folded(one) not in known_ids]
    if known_ids and len(new) >= _NEW_MANY and 2 * len(new) > len(people):
        yield (
            f"{len(new)} of {len(people)} lines are new, although the group has {len(known_ids)} members: "
            "does this file spell their ids in another way, or belong to another group?"
        )
    alike: dict[str, str] = {}
    for external_id in known_ids.values():
        alike.setdefault(_bare(external_id), external_id)
    respelled = []
    for where, external_id in new:
        twin = alike.setdefault(_bare(external_id), external_id)
        if twin != external_id:
            is_told = f"{twin!r} is" if tells_ids else "another spelling is"
            respelled.append(f"{where} has {external_id!r} where {is_told} known")
    if respelled:
        more = len(respelled) - _EXAMPLES
        yield (
            "ids differ only by leading zeros or by case, as a spreadsheet leaves them: "
            + "; ".join(respelled[:_EXAMPLES])
            + (f"; and {more} more" if more > 0 else "")
        )


def _bare(external_id: str) -> str:
    """What is left of an id after a spreadsheet took it for a number, or somebody typed it in capitals."""
    return external_id.strip().casefold().lstrip("0")
