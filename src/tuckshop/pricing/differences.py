"""
What another price list would change about the one in force, model by model, and which rows it takes to get there.

What the operator set by hand stays unless they say otherwise. What a list no longer has keeps its price: a model that
still answers must not become free of charge, or be refused in the middle of a course, because a file forgot it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from tuckshop.pricing.prices import ModelPrice

# kept: set by hand. gone: not in the other list. pinned: as it is, but no longer as the model it is a snapshot of.
Action = Literal["new", "changed", "pinned", "kept", "gone"]
SET_HERE: Final = "set here"  # the source of a price that the operator set by hand
_SAYS_NOTHING: Final = frozenset({"model", "source", "dated"})
_FOLLOWS: Final = frozenset(
    {"base", "ends"}
)  # that a snapshot has of its own, whatever its model costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One model whose price is another there, or that is only in one of the lists."""

    model: str
    action: Action
    before: ModelPrice | None
    after: ModelPrice | None
    fields: tuple[str, ...] = ()  # that differ
    is_less: bool = False  # it would be charged or held less for something than now

    @property
    def put(self) -> ModelPrice | None:
        """The row that brings it about; None: nothing is done."""
        return self.after if self.action in ("new", "changed", "pinned") else None


def differences(
    now: Callable[[str], ModelPrice | None],
    known: Iterable[str],
    listed: Sequence[ModelPrice],
    other: Sequence[ModelPrice],
    *,
    replace_own: bool = False,
) -> list[Difference]:
    """
    What *other* would change, by name of the model; what is the same is left out.

    Args:
        now: What a model costs.
        known: The models that have a price now.
        listed: The list of the package: a price that is put covers its snapshots there.
        other: At most one row for each model.
        replace_own: Prices that were set by hand go too.
    """
    rows = {row.model: row for row in other}
    found: dict[str, Difference] = {}
    for model in sorted({*known, *rows}):
        one = _compared(now(model), rows.get(model), replace_own=replace_own)
        if one is not None:
            found[model] = one
    for row in listed:
        # A model's price covers its snapshots; one that costs something else needs a row, or it would change unseen.
        base = found.get(row.base or "")
        own = found.get(row.model)
        if base is None or base.put is None or (own is not None and own.action != "gone"):
            continue
        stays = now(row.model)
        if stays is not None and not _FOLLOWS.issuperset(_fields(stays, base.put)):
            found[row.model] = Difference(
                model=row.model, action="pinned", before=stays, after=stays
            )
    return [found[model] for model in sorted(found)]


def is_less(before: ModelPrice | None, after: ModelPrice) -> bool:
    """Whether some call would be charged, or held, less by *after* than by *before*."""
    if after.free or before is None or before.free:
        return after.free and (before is None or not before.free)
    sizes = {1, *(p.long_context_start + 1 for p in (before, after) if p.long_context_start)}
    rates = [(before.rates_for(size), after.rates_for(size)) for size in sizes]
    pairs = [
        pair
        for old, new in rates
        for pair in zip(msgspec.structs.astuple(old), msgspec.structs.astuple(new), strict=True)
    ]
    pairs += [
        (before.max_output_tokens, after.max_output_tokens),
        (before.takes_in, after.takes_in),
    ]
    falls = any(new is not None and (old is None or new < old) for old, new in pairs if old != new)
    other_images = before.images != after.images and None not in (before.images, after.images)
    return falls or other_images or (before.search and not after.search)


def _compared(
    before: ModelPrice | None, after: ModelPrice | None, *, replace_own: bool
) -> Difference | None:
    is_own = before is not None and before.source == SET_HERE and not replace_own
    if after is None:
        assert before is not None
        if is_own:
            return None
        return Difference(model=before.model, action="gone", before=before, after=None)
    fields = () if before is None else _fields(before, after)
    if before is not None and not fields:
        return None
    return Difference(
        model=after.model,
        action="kept" if is_own else "new" if before is None else "changed",
        before=before,
        after=after,
        fields=fields,
        is_less=not is_own and is_less(before, after),
    )


def _fields(before: ModelPrice, after: ModelPrice) -> tuple[str, ...]:
    return tuple(
        name
        for name in before.__struct_fields__
        if name not in _SAYS_NOTHING and getattr(before, name) != getattr(after, name)
    )
