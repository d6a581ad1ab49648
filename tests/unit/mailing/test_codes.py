"""The code of a mail server's answer, which is all of it that a log may hold (P1)."""

from __future__ import annotations

import pytest

from tuckshop.mailing.smtp import code_in


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("550 5.1.1 <ada.404@example.org>: no such user", "550"),
        ("given up after 12 attempts: 451 <ada@example.org> later", "451"),
        ("the connection broke: (421, b'ada@example.org has been here')", "421"),
        ("smtp://mail.example.org:587 lets nobody in: 535 5.7.8 no", "535"),
        ("the connection broke: Connection unexpectedly closed", None),
        ("ada.404@example.org cannot be written to", None),
        ("404@example.org cannot be written to", None),
        ("", None),
    ],
)
def test_the_code_is_found_where_answers_begin_and_nothing_else_is(
    told: str, code: str | None
) -> None:
    """P1."""
    assert code_in(told) == code
