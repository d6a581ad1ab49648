"""
The tables. One schema for SQLite and PostgreSQL.

Ids are text, primary keys start with the workspace, money and times are 64-bit integers (nano-USD; microseconds UTC).
Lists are JSON text that only Python reads: no type or operator that one database lacks.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

workspaces = Table(
    "workspaces",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("zone_changes", Text, nullable=False),  # JSON [[since_us, zone], …]
    Column(
        "limits", Text, nullable=False, server_default=text("'[]'")
    ),  # JSON list of limits in long form
    Column("models", Text),  # JSON list or null
    Column("endpoints", Text),
    Column("max_output_tokens", BigInteger),
    Column("directory_version", BigInteger, nullable=False, server_default=text("1")),
    Column("created_at", BigInteger, nullable=False),
    Column("moderation", Text),  # JSON: the least that every group's calls are checked
    Column("privacy", Text),  # JSON: what papers for data protection say of its operator
    Column("pseudonyms", Boolean, nullable=False, server_default=text("false")),
)

groups = Table(
    "groups",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("title", Text, nullable=False, server_default=text("''")),
    Column("zone_changes", Text, nullable=False),
    Column("each_limits", Text, nullable=False, server_default=text("'[]'")),
    Column("shared_limits", Text, nullable=False, server_default=text("'[]'")),
    Column("models", Text),
    Column("endpoints", Text),
    Column("max_output_tokens", BigInteger),
    Column("min_output_tokens", BigInteger, nullable=False),
    Column("patience_s", Integer, nullable=False),
    Column("on_disconnect", Text, nullable=False),
    Column("unknown_parameters", Text, nullable=False),
    Column("show_shared", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("carry_over", BigInteger),  # nano-USD that a window may take over
    Column("self_rotate", Boolean, nullable=False, server_default=text("false")),
    Column("log_days", Integer, nullable=False, server_default=text("400")),
    Column("carry_since", BigInteger),  # since when windows may leave something
    # What its calls must be like and what is kept of them, each as JSON; null: its default.
    Column("rules", Text),
    Column("moderation", Text),
    Column("strikes", Text),
    Column("logging", Text),
    Column("pseudonyms", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("workspace_id", "name"),
)

members = Table(
    "members",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("group_id", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column(
        "external_id_folded", Text, nullable=False
    ),  # NFC, trimmed, e-mail case-folded: what is compared
    Column("name", Text),
    Column("email", Text),
    Column("limits", Text, nullable=False, server_default=text("'[]'")),
    Column("models", Text),
    Column("endpoints", Text),
    Column("max_output_tokens", BigInteger),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("erased_at", BigInteger),  # the last time; they may have come back since
    UniqueConstraint("workspace_id", "group_id", "external_id_folded"),
)

keys = Table(
    "keys",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("group_id", Text, nullable=False),
    Column("member_id", Text, nullable=False),
    Column("name", Text),
    Column("digest", LargeBinary, nullable=False, unique=True),  # SHA-256 of the secret
    Column("previous_digest", LargeBinary, unique=True),  # of the secret before the last rotation
    Column("previous_until", BigInteger),
    Column("last4", Text, nullable=False),
    Column("limits", Text, nullable=False, server_default=text("'[]'")),
    Column("models", Text),
    Column("endpoints", Text),
    Column("max_output_tokens", BigInteger),
    Column("tags", Text, nullable=False, server_default=text("'[]'")),
    Column("expires_at", BigInteger),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("taken_from", Text),  # the gateway it was taken over from; null: it was issued here
    Column(
        "taken_digest", LargeBinary
    ),  # of the secret it was taken over with, whatever it has now
    Column("self_rotations", Text),  # JSON list: when its holder rotated it, the last few times
    Index("keys_by_member", "workspace_id", "member_id"),
    Index("keys_by_taken_digest", "taken_digest", unique=True),
)

staff_tokens = Table(
    "staff_tokens",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),  # "owner", "assistant" or "viewer"
    Column("group_ids", Text, nullable=False),  # JSON list: the groups it is bound to
    Column("digest", LargeBinary, nullable=False, unique=True),  # SHA-256 of the token
    Column("last4", Text, nullable=False),
    Column("expires_at", BigInteger),
    Column("state", Text, nullable=False),  # "active" or "revoked"
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

claims = Table(  # links by which a member picks up a key
    "claims",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("member_id", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),  # SHA-256 of the link's secret
    Column("state", Text, nullable=False),  # "open", "used" or "void"
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    Column("key_id", Text),  # the key that was picked up
    Column("created_at", BigInteger, nullable=False),
    Index("claims_by_member", "workspace_id", "member_id"),
)

mails = Table(
    "mails",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    # "invite", "rotated", "claimed", "paused", "test"; "notice" and "budget", which tell of what `mailed_notices` names
    Column("kind", Text, nullable=False),
    Column("group_id", Text),  # null, as the member: a test, or a notice of no group
    Column("member_id", Text),  # null: it goes to staff
    Column("recipient", Text, nullable=False),
    Column("template", Text, nullable=False),  # of `mail_templates`, or ours: "en", "de"
    Column("state", Text, nullable=False),  # queued, sending, sent, failed, unknown, cancelled
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("queued_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("tried_at", BigInteger),  # the last attempt
    Column("told", Text),  # what the mail server, or we, said to it; never a link
    Column("topic", Text),  # the kind of notices that it tells of
    Index("mails_due", "workspace_id", "state", "due_at"),
    Index("mails_tried", "workspace_id", "tried_at"),
    Index("mails_by_member", "workspace_id", "member_id"),
    Index(
        "mails_by_topic",
        "workspace_id",
        "topic",
        "recipient",
        sqlite_where=text("topic IS NOT NULL"),
        postgresql_where=text("topic IS NOT NULL"),
    ),
)

mail_templates = Table(  # texts that staff brought; a link is made only when a mail is sent
    "mail_templates",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),  # SHA-256 of the content
    Column("content", Text, nullable=False),
)

idempotency_keys = Table(  # what creating calls answered, for whoever repeats one
    "idempotency_keys",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("actor", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the key the client gave
    Column("request_hash", LargeBinary, nullable=False),  # of method, path, query and body
    Column("made", Text, nullable=False),  # JSON: the ids of what was made
    Column("created_at", BigInteger, nullable=False),
    Index("idempotency_keys_by_age", "created_at"),
)

flags = (
    Table(  # contents that a check, or a rule of the group, took note of; never the content itself
        "flags",
        metadata,
        Column("workspace_id", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("at", BigInteger, nullable=False),  # the first time
        Column("last_at", BigInteger, nullable=False),
        Column("repeats", Integer, nullable=False, server_default=text("1")),
        Column("group_id", Text, nullable=False),
        Column("member_id", Text, nullable=False),
        Column("key_id", Text, nullable=False),
        Column("request_id", Text, nullable=False),  # the first
        Column("source", Text, nullable=False),  # "moderation", "output" or "rule"
        Column("action", Text, nullable=False),  # "blocked", "noted" or "redacted"
        Column("reasons", Text, nullable=False),  # JSON list: categories, or names of rules
        Column("scores", Text, nullable=False),  # JSON object: score per category
        Column(
            "content", LargeBinary, nullable=False
        ),  # keyed digest of it: equal contents are one
        Column("is_own", Boolean, nullable=False),  # the member said it, not a document or a tool
        Column("state", Text, nullable=False),  # "open", "upheld" or "dismissed"
        Column("resolved_by", Text),
        Column("resolved_at", BigInteger),
        Column("reason", LargeBinary),  # of those who resolved it, closed with the member's key
        Column("appealed_at", BigInteger),
        Column("struck_id", Text),  # the member or key that was paused for it and others
        Index("flags_by_member", "workspace_id", "member_id", "last_at"),
        Index("flags_by_content", "workspace_id", "member_id", "content"),
        Index("flags_by_group", "workspace_id", "group_id", "last_at"),
    )
)

flagged_calls = Table(  # the calls that a flag was noted in, the first and its repeats
    "flagged_calls",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("flag_id", Text, primary_key=True),
    Column("position", BigInteger),  # of its row in the log; null: it had none when it was flagged
    Index("flagged_calls_by_flag", "workspace_id", "flag_id", "position"),
    Index("flagged_calls_by_position", "workspace_id", "position"),
)

appeals = Table(  # what members say to their flags, and links by which they may
    "appeals",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("group_id", Text, nullable=False),
    Column("member_id", Text, nullable=False),
    Column("flag_id", Text),  # null: to all that the member had when it was said
    Column(
        "digest", LargeBinary, unique=True
    ),  # SHA-256 of the link's secret; null: staff wrote it down
    Column("state", Text, nullable=False),  # "open", "used" or "void"
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("sent_by", Text),
    Column("reason", LargeBinary),  # what was said, closed with the member's key
    Index("appeals_by_member", "workspace_id", "member_id"),
)

notices = Table(  # what staff are to be told; written in the transaction of what it tells of
    "notices",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("group_id", Text),
    Column("member_id", Text),
    Column("key_id", Text),
    Column("request_id", Text),
    Column("facts", Text, nullable=False),  # JSON object of numbers and ids; no names, no content
    Column("once", Text),  # two notices with the same are one
    Column("passed_on_at", BigInteger),  # since when deliveries of it exist
    UniqueConstraint("workspace_id", "once"),
    Index(
        "notices_waiting",
        "workspace_id",
        "id",
        sqlite_where=text("passed_on_at IS NULL"),
        postgresql_where=text("passed_on_at IS NULL"),
    ),
)

webhooks = Table(  # addresses of programs that are told of notices
    "webhooks",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("kinds", Text),  # JSON list; null: all
    Column("group_ids", Text),  # JSON list; null: all, and what is of no group
    Column("reach", Text, nullable=False),  # which addresses may be dialled: "any" or "public"
    Column("sealed", LargeBinary, nullable=False),  # what deliveries are signed with
    Column("state", Text, nullable=False),  # "active" or "paused"
    Column("failing_since", BigInteger),  # no delivery has arrived since; null: the last one did
    Column("failures", Integer, nullable=False, server_default=text("0")),  # since then
    Column("told", Text),  # what came of the last attempt that failed
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

notify = Table(  # who is mailed of notices, by group
    "notify",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("group_id", Text, primary_key=True),  # "": of all groups, and of what is of none
    Column("mails", Text, nullable=False),  # JSON list of addresses
    Column("kinds", Text),  # JSON list; null: all
    Column("members", Boolean, nullable=False),  # are members told of their own budgets?
    Column("since", BigInteger, nullable=False),
)

mailed_notices = Table(  # what a mail tells of; it is written when it leaves
    "mailed_notices",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("mail_id", Text, primary_key=True),
    Column("notice_id", Text, primary_key=True),
)

deliveries = Table(  # notices on their way to webhooks
    "deliveries",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("webhook_id", Text, nullable=False),
    Column("notice_id", Text, nullable=False),  # by which the receiver knows a repeat
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),  # as it is sent: ids and numbers alone
    Column("state", Text, nullable=False),  # "waiting", "sent" or "dead"
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("queued_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("tried_at", BigInteger),
    Column("status", Integer),  # that the receiver answered
    Column("told", Text),
    Index("deliveries_by_webhook", "workspace_id", "webhook_id", "state", "due_at"),
)

holds = Table(  # legal ones: nothing that is kept of these may be deleted
    "holds",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("group_id", Text, nullable=False),
    Column("member_id", Text),  # null: of the whole group
    Column("at", BigInteger, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("released_at", BigInteger),  # null: in force
    Column("released_by", Text),
)

upstreams = Table(
    "upstreams",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("models", Text),  # JSON list of globs or null: all that have a price
    Column("reach", Text, nullable=False),  # which addresses may be dialled: "any" or "public"
    Column("credential_source", Text),  # "setting", "sealed" or null: it has none
    Column("sealed", LargeBinary),  # the credential, closed by a key outside the database (K2)
    Column("last4", Text),  # all that a listing may show of it
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

counters = Table(
    "counters",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("scope_kind", Text, primary_key=True),
    Column("scope_id", Text, primary_key=True),
    Column("metric", Text, primary_key=True),
    Column("selector", Text, primary_key=True),  # canonical text, "" = all calls
    Column("window", Text, primary_key=True),  # "month", "rolling:60", "total", "now"
    Column("window_start", BigInteger, primary_key=True),  # rolling: of the sub-window
    Column("window_end", BigInteger),  # null: total and now
    Column("used", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),  # of the reservation (or of the refusal's row)
    Column("resolved_position", BigInteger),
    Column("admitted_at", BigInteger, nullable=False),  # given with the position, non-decreasing
    Column("resolved_at", BigInteger),
    Column("owner", Text, nullable=False),  # the boot that made the reservation
    Column("state", Text, nullable=False),
    Column("group_id", Text, nullable=False),
    Column("member_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("endpoint_group", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_aliases", Text, nullable=False, server_default=text("''")),  # space-separated
    Column("upstream", Text, nullable=False),
    Column("upstream_request_id", Text),
    Column("price_id", Text),
    Column("cap", BigInteger),  # output tokens granted per choice
    Column("held_cost", BigInteger, nullable=False),
    Column("held_input_tokens", BigInteger, nullable=False),
    Column("held_output_tokens", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False, server_default=text("0")),
    Column("cost", BigInteger),  # charged; null while reserved
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("flags", Text, nullable=False, server_default=text("''")),  # space-separated, sorted
    Column("http_status", Integer),
    Column("error", Text),
    Column("first_byte_ms", Integer),
    Column("duration_ms", Integer),
    Column("queue_ms", Integer),
    Column("tag", Text),
    Column("repeats", Integer, nullable=False, server_default=text("1")),
    Column("network", LargeBinary),  # keyed digest of the caller's network, for 14 days (P12)
    UniqueConstraint("workspace_id", "position"),
    Index("requests_by_group", "workspace_id", "group_id", "admitted_at"),
    Index("requests_by_member", "workspace_id", "member_id", "admitted_at"),
    Index(
        "requests_open",
        "workspace_id",
        "position",
        sqlite_where=text("state = 'reserved'"),
        postgresql_where=text("state = 'reserved'"),
    ),
    # For the log's filters. Few rows are in these, so that calls hardly feel them. (Their terms are compared for each
    # call: `IN` with a list would cost more than all other indexes together.)
    Index(
        "requests_by_tag",
        "workspace_id",
        "tag",
        "position",
        sqlite_where=text("tag IS NOT NULL"),
        postgresql_where=text("tag IS NOT NULL"),
    ),
    Index(
        "requests_flagged",
        "workspace_id",
        "position",
        sqlite_where=text("flags <> ''"),
        postgresql_where=text("flags <> ''"),
    ),
    Index(
        "requests_uncharged",
        "workspace_id",
        "state",
        "position",
        sqlite_where=text("state <> 'settled' AND state <> 'reserved'"),
        postgresql_where=text("state <> 'settled' AND state <> 'reserved'"),
    ),
)

entries = Table(
    "entries",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    # correction, reset; grant, and what becomes of it: ground, carry, grant_use (`ledger/lifting.py`)
    Column("kind", Text, nullable=False),
    Column("request_id", Text),  # a correction names its request
    Column("scope_kind", Text),  # all but corrections name their scope
    Column("scope_id", Text),
    Column("with_total", Boolean),  # a reset: does it start `total` afresh too?
    # A correction: what is added to the charge (may be negative). Of a grant, its use, ground, carry: nano-USD.
    Column("cost", BigInteger),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("grant_id", Text),  # a grant's use names the entry that granted it
    Column(
        "until", BigInteger
    ),  # the end of a grant, or of the window of ground and carry; null: none
    Column("selector", Text),  # ground, carry, grant_use: of which counter …
    Column("window", Text),
    Column("window_start", BigInteger),  # … and of which of its windows
    UniqueConstraint("workspace_id", "position"),
    Index("entries_by_request", "workspace_id", "request_id"),
    Index("entries_by_scope", "workspace_id", "scope_kind", "scope_id"),
    Index(
        "entries_grants",
        "workspace_id",
        "scope_id",
        sqlite_where=text("kind = 'grant'"),
        postgresql_where=text("kind = 'grant'"),
    ),
)

folded = Table(  # sums of resolved requests that are older than their group's `log_days` (P9)
    "folded",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("member_id", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("since", BigInteger, primary_key=True),  # of the stretch they were admitted in: a month
    Column("after_reset", BigInteger, primary_key=True),  # the last reset they felt not; 0: none
    Column("model", Text, primary_key=True),
    Column("model_aliases", Text, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("endpoint_group", Text, primary_key=True),
    Column("group_id", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),  # the end of the stretch
    Column("last_at", BigInteger, nullable=False),  # the last admission among them
    Column("position", BigInteger, nullable=False),  # the last resolution or correction among them
    # Of those that were settled, corrections counted in:
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("images", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("guessed", BigInteger, nullable=False),  # of `requests`: flagged as guessed
    Column("guessed_cost", BigInteger, nullable=False),  # of `cost`: theirs
    Column("uncharged", BigInteger, nullable=False),  # calls that were not, repeats counted in
    Index("folded_by_group", "workspace_id", "group_id", "since"),
)

closings = Table(
    "closings",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column(
        "counters", LargeBinary, nullable=False
    ),  # all counters at that position, compressed JSON
)

usage_buckets = Table(
    "usage_buckets",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("bucket", BigInteger, primary_key=True),  # start of 15 minutes UTC, by admission time
    Column("group_id", Text, primary_key=True),
    Column("member_id", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
)

# What the buckets hold up to a mark, summed once more for reports over long times: see ledger/day_sums.py.
usage_days = Table(
    "usage_days",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("bucket", BigInteger, primary_key=True),  # start of a UTC day
    Column("group_id", Text, primary_key=True),
    Column("member_id", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    sqlite_with_rowid=False,  # read in order of the key
)

usage_spans = Table(
    "usage_spans",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("bucket", BigInteger, primary_key=True),  # start of 16 UTC days
    Column("group_id", Text, primary_key=True),
    Column("member_id", Text, primary_key=True),
    Column("key_id", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

usage_quarters = Table(
    "usage_quarters",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("bucket", BigInteger, primary_key=True),  # start of 15 minutes UTC
    Column("group_id", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("endpoint", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

price_overrides = Table(  # append-only: the newest row whose time has come is in force
    "price_overrides",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("upstream", Text, nullable=False),  # its name
    Column("model", Text, nullable=False),
    Column("content", Text),  # the price as JSON; null: the override is taken back
    Column("effective_from", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

prices = Table(
    "prices",
    metadata,
    Column("id", Text, primary_key=True),  # hash of the content
    Column("content", Text, nullable=False),  # the price row as JSON
    Column("first_used_at", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),  # 1, 2, 3 … without gaps
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),  # "group.create"
    Column("object_id", Text, nullable=False),
    Column("before", Text),  # JSON, ids and policy only, no secrets
    Column("after", Text),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

settings = Table(  # what the server remembers about itself: epoch, clock high-water mark, format
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
