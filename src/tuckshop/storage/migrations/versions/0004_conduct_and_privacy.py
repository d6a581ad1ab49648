"""Good conduct and privacy: checks, flags, notices, what is kept of calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """One part after the other."""
    _policies()
    _log()
    _flags()
    _notices()
    _holds()
    _erasures()


def _policies() -> None:
    """What calls must be like, and what is kept of them."""
    op.add_column("workspaces", sa.Column("moderation", sa.Text(), nullable=True))
    op.add_column("workspaces", sa.Column("privacy", sa.Text(), nullable=True))
    for name in ("rules", "moderation", "strikes", "logging"):
        op.add_column("groups", sa.Column(name, sa.Text(), nullable=True))
    for table in ("workspaces", "groups"):
        pseudonyms: sa.Column[bool] = sa.Column(
            "pseudonyms", sa.Boolean(), nullable=False, server_default=sa.text("false")
        )
        op.add_column(table, pseudonyms)


def _log() -> None:
    """Where calls come from, for a while."""
    op.add_column("requests", sa.Column("network", sa.LargeBinary(), nullable=True))


def _flags() -> None:
    op.create_table(
        "flags",
        sa.Column("workspace_id", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False, server_default=sa.text("1")),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("scores", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("is_own", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.Column("appealed_at", sa.BigInteger(), nullable=True),
        sa.Column("struck_id", sa.Text(), nullable=True),
    )
    op.create_index("flags_by_member", "flags", ["workspace_id", "member_id", "last_at"])
    op.create_index("flags_by_group", "flags", ["workspace_id", "group_id", "last_at"])
    op.create_index("flags_by_content", "flags", ["workspace_id", "member_id", "content"])
    op.create_table(
        "flagged_calls",
        sa.Column("workspace_id", sa.Text(), primary_key=True),
        sa.Column("request_id", sa.Text(), primary_key=True),
        sa.Column("flag_id", sa.Text(), primary_key=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
    )
    by_flag = ["workspace_id", "flag_id", "position"]
    op.create_index("flagged_calls_by_flag", "flagged_calls", by_flag)
    by_position = ["workspace_id", "position"]
    op.create_index("flagged_calls_by_position", "flagged_calls", by_position)
    op.create_table(
        "appeals",
        sa.Column("workspace_id", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("flag_id", sa.Text(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True, unique=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
    )
    op.create_index("appeals_by_member", "appeals", ["workspace_id", "member_id"])


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("workspace_id", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.Column("member_id", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("once", sa.Text(), nullable=True),
        sa.Column("passed_on_at", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("workspace_id", "once"),
    )
    op.create_index(
        "notices_waiting",
        "notices",
        ["workspace_id", "id"],
        sqlite_where=sa.text("passed_on_at IS NULL"),
        postgresql_where=sa.text("passed_on_at IS NULL"),
    )
    _webhooks()
    _mails_of_notices()


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("workspace_id", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=True),
        sa.Column("group_ids", sa.Text(), nullable=True),
        sa.Column("reach", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("told", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("workspace_id", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("tried_at", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("told", sa.Text(), nullable=True),
    )
    op.create_index(
        "deliveries_by_webhook", "deliveries", ["workspace_id", "webhook_id", "state", "due_at"]
    )


def _holds() -> None:
    """Of whom nothing that is kept may be deleted."""
    op.create_table(
        "holds",
        sa.Column("workspace_id", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
    )


def _mails_of_notices() -> None:
    op.add_column("mails", sa.Column("topic", sa.Text(), nullable=True))
    op.create_index(
        "mails_by_topic",
        "mails",
        ["workspace_id", "topic", "recipient"],
        sqlite_where=sa.text("topic IS NOT NULL"),
        postgresql_where=sa.text("topic IS NOT NULL"),
    )
    op.create_table(
        "notify",
        sa.Column("workspace_id", sa.Text(), primary_key=True),
        sa.Column("group_id", sa.Text(), primary_key=True),
        sa.Column("mails", sa.Text(), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=True),
        sa.Column("members", sa.Boolean(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "mailed_notices",
        sa.Column("workspace_id", sa.Text(), primary_key=True),
        sa.Column("mail_id", sa.Text(), primary_key=True),
        sa.Column("notice_id", sa.Text(), primary_key=True),
    )


def _erasures() -> None:
    """Which rows are of somebody who was erased."""
    op.add_column("members", sa.Column("erased_at", sa.BigInteger(), nullable=True))
