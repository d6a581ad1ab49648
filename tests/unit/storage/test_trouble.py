"""What is told while nothing can be admitted (D7)."""

from __future__ import annotations

import pytest

from tuckshop.storage.trouble import LATCH_WAIT_S, WAIT_S, Trouble, refusal


@pytest.mark.parametrize("trouble", Trouble)
def test_those_who_are_refused_do_not_all_come_back_at_once(trouble: Trouble) -> None:
    least_s, most_s = LATCH_WAIT_S if trouble.is_latch else WAIT_S

    waits_s = sorted(refusal(trouble).retry_after_s for _ in range(300))

    assert least_s <= waits_s[0] < least_s + 1
    assert most_s - 1 < waits_s[-1] <= most_s <= 60
    assert len(set(waits_s)) > 50
