"""
Who comes back to a group after an erasure: known by the trace of the external id alone, they meet what was spent (P11).

Their row is the one that was made nameless, so counters and sums go on and no money moves (M14). What was closed with
their former key stays closed; from now on there is a fresh one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select

from tuckshop.services.changes import Edit
from tuckshop.services.erasing.rows import trace_column
from tuckshop.storage.schema import members


def returning(
    edit: Edit, group_id: str, external_ids_folded: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """The nameless rows that stand for some of these external ids in the group, by the external id."""
    traces = {
        trace_column(edit.person_keys.trace(group_id, name)): name for name in external_ids_folded
    }
    if not traces:
        return {}
    query = select(members).where(
        members.c.workspace_id == edit.workspace_id,
        members.c.group_id == group_id,
        members.c.external_id_folded.in_(traces),
    )
    return {
        traces[row["external_id_folded"]]: dict(row)
        for row in edit.connection.execute(query).mappings()
    }
