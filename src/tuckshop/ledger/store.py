"""
The ledger's SQL: plain text for the driver's cursor, each run with `executemany` once per batch.

Statements say what they do; what goes into them is decided elsewhere.
"""

from __future__ import annotations

from typing import Final

INSERT_REQUEST: Final = """
INSERT INTO requests (
    workspace_id, id, position, admitted_at, owner, state, group_id, member_id, key_id, endpoint, endpoint_group,
    model, model_aliases, upstream, price_id, cap, held_cost, held_input_tokens, held_output_tokens, images, flags,
    queue_ms, tag, network
) VALUES (?, ?, ?, ?, ?, 'reserved', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

# Compare and set: a row that is closed never changes (M6, M7).
CLOSE_REQUEST: Final = """
UPDATE requests SET
    state = ?, resolved_position = ?, resolved_at = ?, cost = ?, input_tokens = ?, output_tokens = ?,
    cached_tokens = ?, images = ?, flags = ?, http_status = ?, error = ?, first_byte_ms = ?, duration_ms = ?,
    upstream_request_id = ?
WHERE workspace_id = ? AND id = ? AND state = 'reserved'
"""

# A call that was admitted before it was refused has its row already, and needs no second one.
INSERT_REFUSAL: Final = """
INSERT OR IGNORE INTO requests (
    workspace_id, id, position, resolved_position, admitted_at, resolved_at, owner, state, group_id, member_id, key_id,
    endpoint, endpoint_group, model, upstream, held_cost, held_input_tokens, held_output_tokens, cost, input_tokens,
    output_tokens, cached_tokens, error, http_status, tag, network
) VALUES (?, ?, ?, ?, ?, ?, ?, 'refused', ?, ?, ?, ?, '', ?, '', 0, 0, 0, 0, 0, 0, 0, ?, ?, ?, ?)
"""

REPEAT_REFUSAL: Final = """
UPDATE requests SET repeats = repeats + ? WHERE workspace_id = ? AND id = ? AND state = 'refused'
"""

# Counters are found by their row's number: their key is seven columns, and comparing it takes longer than the rest.
# The ledger is the only one that writes this table, so it gives the numbers, and knows them.
INSERT_COUNTER: Final = """
INSERT INTO counters (
    rowid, workspace_id, scope_kind, scope_id, metric, selector, "window", window_start, window_end, used, held
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

UPDATE_COUNTER: Final = "UPDATE counters SET used = ?, held = ? WHERE rowid = ?"

DELETE_COUNTER: Final = "DELETE FROM counters WHERE rowid = ?"

DELETE_ROLLING: Final = """DELETE FROM counters WHERE "window" LIKE 'rolling:%'"""

# Of the row that came last, in any workspace: when time went on as usual, no row is later.
LATEST_ADMISSION: Final = """
SELECT coalesce(max((
    SELECT admitted_at FROM requests WHERE workspace_id = workspaces.id ORDER BY position DESC LIMIT 1
)), 0) FROM workspaces
"""

LAST_COUNTER: Final = "SELECT coalesce(max(rowid), 0) FROM counters"

SCOPE_COUNTERS: Final = """
SELECT rowid, metric, selector, "window", window_start, window_end, used, held FROM counters
WHERE workspace_id = ? AND scope_kind = ? AND scope_id = ? ORDER BY metric, selector, "window", window_start
"""

OPEN_REQUESTS: Final = """
SELECT workspace_id, id, position, admitted_at, owner, group_id, member_id, key_id, endpoint, endpoint_group, model,
    model_aliases, held_cost, held_input_tokens, held_output_tokens, images, flags
FROM requests WHERE workspace_id = ? AND state = 'reserved' ORDER BY position
"""

RESOLUTION: Final = """
SELECT state, resolved_position, cost, input_tokens, output_tokens, images FROM requests
WHERE workspace_id = ? AND id = ?
"""

ADD_TO_BUCKET: Final = """
INSERT INTO usage_buckets (
    workspace_id, bucket, group_id, member_id, key_id, model, endpoint, requests, input_tokens, output_tokens,
    cached_tokens, cost
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    requests = requests + excluded.requests, input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens, cached_tokens = cached_tokens + excluded.cached_tokens,
    cost = cost + excluded.cost
"""

PIN_PRICE: Final = "INSERT OR IGNORE INTO prices (id, content, first_used_at) VALUES (?, ?, ?)"

INSERT_ENTRY: Final = """
INSERT INTO entries (
    workspace_id, id, position, at, kind, request_id, scope_kind, scope_id, with_total, cost, input_tokens,
    output_tokens, actor, reason
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

INSERT_GRANT: Final = """
INSERT INTO entries (workspace_id, id, position, at, kind, scope_kind, scope_id, cost, until, actor, reason)
VALUES (?, ?, ?, ?, 'grant', 'member', ?, ?, ?, ?, ?)
"""

INSERT_LIFT_ENTRY: Final = """
INSERT INTO entries (
    workspace_id, id, position, at, kind, scope_kind, scope_id, cost, actor, grant_id, until, selector, "window",
    window_start
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

GRANTED_MEMBERS: Final = """
SELECT workspace_id, scope_id, max(coalesce(until, 9223372036854775807)) FROM entries
WHERE kind = 'grant' AND (until IS NULL OR until > ?) GROUP BY workspace_id, scope_id
"""

GRANTS_OF_SCOPE: Final = """
SELECT id, at, until, cost, reason FROM entries
WHERE workspace_id = ? AND scope_kind = ? AND scope_id = ? AND kind = 'grant' ORDER BY position
"""

GRANT_USES: Final = """
SELECT grant_id, selector, "window", sum(cost) FROM entries
WHERE workspace_id = ? AND scope_kind = ? AND scope_id = ? AND kind = 'grant_use' GROUP BY 1, 2, 3
"""

# With max() the other columns are of the row that has it: https://sqlite.org/lang_select.html#bareagg
LAST_MARKS: Final = """
SELECT kind, selector, "window", window_start, until, cost, at, max(position) FROM entries
WHERE workspace_id = ? AND scope_kind = ? AND scope_id = ? AND kind IN ('ground', 'carry') GROUP BY 1, 2, 3
"""

MEMBER_BORN: Final = "SELECT created_at FROM members WHERE workspace_id = ? AND id = ?"
