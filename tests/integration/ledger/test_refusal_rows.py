"""A call has one row, however it ends."""

from __future__ import annotations

from pathlib import Path

from tests.support.ledger_kit import ANNA, Desk, hold, void
from tuckshop.domain.ids import DEFAULT_WORKSPACE
from tuckshop.domain.reservation import RefusedRow


def test_a_call_that_is_refused_after_it_was_admitted_keeps_its_row(tmp_path: Path) -> None:
    """A second row of the same id would undo the batch that it came in, and send those who wait away."""
    desk = Desk(tmp_path)
    admitted = hold("$1/month")
    refused = RefusedRow(
        request_id=admitted.request_id,
        workspace_id=DEFAULT_WORKSPACE,
        group_id=ANNA.group,
        member_id=ANNA.member,
        key_id=ANNA.key,
        endpoint="chat.completions",
        model="",
        error="server_busy",
        http_status=503,
    )

    desk.one(admitted)
    desk.do(void(admitted.request_id), refused)

    assert desk.rows("SELECT id, state FROM requests") == [(admitted.request_id, "voided")]
    desk.close()
