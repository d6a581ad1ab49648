"""What one request row adds to the counters that cover it, by the state it is in. The one place that says so."""

from __future__ import annotations

from typing import Final, NamedTuple

from tuckshop.domain.reservation import Amounts
from tuckshop.ledger.arithmetic import NOTHING, Vector

# The columns of `Row`, in its order.
ROW_COLUMNS: Final = (
    "id, position, resolved_position, admitted_at, state, group_id, member_id, key_id, model, model_aliases,"
    " endpoint_group, held_cost, held_input_tokens, held_output_tokens, images, cost, input_tokens, output_tokens"
)


class Row(NamedTuple):
    """A request row, as far as counters go."""

    id: str
    position: int
    resolved_position: int | None
    admitted_at: int
    state: str
    group_id: str
    member_id: str
    key_id: str
    model: str
    model_aliases: str  # space-separated
    endpoint_group: str
    held_cost: int
    held_input_tokens: int
    held_output_tokens: int
    images: int
    cost: int | None
    input_tokens: int | None
    output_tokens: int | None


def open_vectors(
    cost: int, input_tokens: int, output_tokens: int, images: int
) -> tuple[Vector, Vector]:
    """
    (used, held) of a reservation that is open.

    The call and its images count as used from the start; what it may cost, and its place among the running ones, is
    held.
    """
    used = (0, 1, 0, 0, 0, images, 0)
    held = (cost, 0, input_tokens + output_tokens, input_tokens, output_tokens, 0, 1)
    return used, held


def settled_vector(cost: int, input_tokens: int, output_tokens: int, images: int) -> Vector:
    """What a settled call used. Nothing of it is held any more."""
    return (cost, 1, input_tokens + output_tokens, input_tokens, output_tokens, images, 0)


def settling_vectors(
    held_cost: int, held_input: int, held_output: int, held_images: int, charged: Amounts
) -> tuple[Vector, Vector]:
    """What moves (used, held) when a reservation is settled: from `open_vectors` to `settled_vector`."""
    inputs, outputs = charged.input_tokens, charged.output_tokens
    images = charged.images - held_images
    used = (charged.cost_nano, 0, inputs + outputs, inputs, outputs, images, 0)
    held = (-held_cost, 0, -held_input - held_output, -held_input, -held_output, 0, -1)
    return used, held


def voiding_vectors(
    held_cost: int, held_input: int, held_output: int, held_images: int
) -> tuple[Vector, Vector]:
    """What moves (used, held) when a reservation is given back: from `open_vectors` to nothing."""
    used = (0, -1, 0, 0, 0, -held_images, 0)
    held = (-held_cost, 0, -held_input - held_output, -held_input, -held_output, 0, -1)
    return used, held


def correction_vector(cost: int, input_tokens: int, output_tokens: int) -> Vector:
    """What a correction adds; may be negative."""
    return (cost, 0, input_tokens + output_tokens, input_tokens, output_tokens, 0, 0)


def vectors_of(row: Row) -> tuple[Vector, Vector]:
    """(used, held) of *row*, corrections apart."""
    if row.state == "reserved":
        return open_vectors(
            row.held_cost, row.held_input_tokens, row.held_output_tokens, row.images
        )
    if row.state == "settled":
        used = settled_vector(
            row.cost or 0, row.input_tokens or 0, row.output_tokens or 0, row.images
        )
        return used, NOTHING
    return NOTHING, NOTHING  # voided, blocked, refused


def counts_after(row: Row, reset_position: int) -> bool:
    """Whether *row* still counts after a reset at that position (0: none): what was resolved before it does not."""
    return row.resolved_position is None or row.resolved_position > reset_position
