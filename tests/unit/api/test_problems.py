"""What msgspec says of a body, as a field and a sentence."""

from __future__ import annotations

import msgspec
import pytest

from tuckshop.api.problems import field_problem
from tuckshop.services.shapes.groups import NewGroup
from tuckshop.services.shapes.members import NewMember


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        (b"{}", NewGroup, "name"),
        (b'{"name": 1}', NewGroup, "name"),
        (b'{"name": "a", "each": [1]}', NewGroup, "each[0]"),
        (b'{"name": "a", "each": {}}', NewGroup, "each"),
        (b'{"name": "a", "x": 1}', NewGroup, "x"),
        (b'{"name": "a", "moderation": {"x": 1}}', NewGroup, "moderation.x"),
        (b'{"name": "a", "moderation": {"mode": "maybe"}}', NewGroup, "moderation.mode"),
        (b'{"name": "a", "moderation": {"thresholds": {"hate": "x"}}}', NewGroup, None),
        (b"[]", NewMember, ""),
        (b"null", NewMember, ""),
    ],
)
def test_the_field_is_named_by_its_path(body: bytes, kind: type, field: str | None) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=kind)

    problem = field_problem(caught.value)

    if field is not None:
        assert problem.field == field
    assert problem.message
    assert "$" not in problem.message
