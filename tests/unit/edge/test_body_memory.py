"""Bodies in memory are bounded, all together and by asker, so that none shuts others out (E7)."""

from __future__ import annotations

import pytest

from tuckshop.domain.errors import ServerBusyError
from tuckshop.edge.body_memory import SMALL_BYTES, BodyMemory

MAX = 100 * SMALL_BYTES


def test_all_bodies_together_are_bounded() -> None:
    memory = BodyMemory(10)
    memory.take("a", before=0, size=10)

    with pytest.raises(ServerBusyError):
        memory.take("b", before=0, size=1)


def test_one_asker_leaves_room_for_the_large_bodies_of_others() -> None:
    """E7."""
    memory = BodyMemory(MAX)
    memory.take("hog", before=0, size=51 * SMALL_BYTES)  # the first part counts as small

    with pytest.raises(ServerBusyError):
        memory.take("hog", before=0, size=SMALL_BYTES + 1)

    memory.take("other", before=0, size=20 * SMALL_BYTES)


def test_large_bodies_leave_room_for_small_ones() -> None:
    """E7."""
    memory = BodyMemory(MAX)
    for asker in ("a", "b", "c"):
        memory.take(asker, before=0, size=26 * SMALL_BYTES)

    with pytest.raises(ServerBusyError):
        memory.take("d", before=0, size=SMALL_BYTES + 1)

    memory.give_back("d", SMALL_BYTES + 1)
    for _ in range(20):
        memory.take("hog", before=0, size=SMALL_BYTES)


def test_what_was_taken_in_pieces_is_given_back_whole() -> None:
    memory = BodyMemory(MAX)
    for number in range(40):
        memory.take("a", before=number * SMALL_BYTES // 2, size=SMALL_BYTES // 2)

    memory.give_back("a", 20 * SMALL_BYTES)

    assert memory.held == 0
    memory.take("a", before=0, size=51 * SMALL_BYTES)
