"""A term: grants, what is carried over, staff, links, mails, prices, a log that ends."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """One part after the other."""
    _policies()
    _grants()
    _keys()
    _staff()
    _mails()
    _prices()
    _log()
    _long_reports()
    _folding()


def _policies() -> None:
    """What a group may say besides."""
    op.add_column("groups", sa.Column("carry_over", sa.BigInteger(), nullable=True))
    op.add_column(
        "groups",
        sa.Column("self_rotate", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.add_column(
        "groups", sa.Column("log_days", sa.Integer(), nullable=False, server_default=sa.text("400"))
    )
    op.add_column("groups", sa.Column("carry_since", sa.BigInteger(), nullable=True))


def _grants() -> None:
    """Grants, their use, and what was carried over are entries."""
    op.add_column("entries", sa.Column("grant_id", sa.Text(), nullable=True))
    op.add_column("entries", sa.Column("until", sa.BigInteger(), nullable=True))
    op.add_column("entries", sa.Column("selector", sa.Text(), nullable=True))
    op.add_column("entries", sa.Column("window", sa.Text(), nullable=True))
    op.add_column("entries", sa.Column("window_start", sa.BigInteger(), nullable=True))
    op.create_index(
        "entries_grants",
        "entries",
        ["workspace_id", "scope_id"],
        sqlite_where=sa.text("kind = 'grant'"),
        postgresql_where=sa.text("kind = 'grant'"),
    )


def _keys() -> None:
    """Keys of other gateways, and links by which a key is picked up."""
    op.add_column("keys", sa.Column("taken_from", sa.Text(), nullable=True))
    op.add_column("keys", sa.Column("taken_digest", sa.LargeBinary(), nullable=True))
    op.add_column("keys", sa.Column("self_rotations", sa.Text(), nullable=True))
    op.create_index("keys_by_taken_digest", "keys", ["taken_digest"], unique=True)
    op.create_table(
        "claims",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("claims_by_member", "claims", ["workspace_id", "member_id"])


def _staff() -> None:
    """Tokens of staff; what their creating calls answered."""
    op.create_table(
        "staff_tokens",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("group_ids", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("made", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "actor", "digest"),
    )
    op.create_index("idempotency_keys_by_age", "idempotency_keys", ["created_at"])


def _mails() -> None:
    """The queue of mails, and the texts that staff brought."""
    op.create_table(
        "mails",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=True),
        sa.Column("member_id", sa.Text(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("tried_at", sa.BigInteger(), nullable=True),
        sa.Column("told", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
    )
    op.create_index("mails_due", "mails", ["workspace_id", "state", "due_at"])
    op.create_index("mails_tried", "mails", ["workspace_id", "tried_at"])
    op.create_index("mails_by_member", "mails", ["workspace_id", "member_id"])
    op.create_table(
        "mail_templates",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
    )


def _prices() -> None:
    """Prices of the operator's own."""
    op.create_table(
        "price_overrides",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("effective_from", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
    )


def _log() -> None:
    """Indexes by which the log finds what is rare."""
    for name, columns, where in (
        ("requests_by_tag", ["workspace_id", "tag", "position"], "tag IS NOT NULL"),
        ("requests_flagged", ["workspace_id", "position"], "flags <> ''"),
        (
            "requests_uncharged",
            ["workspace_id", "state", "position"],
            "state <> 'settled' AND state <> 'reserved'",
        ),
    ):
        op.create_index(
            name, "requests", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
        )


def _long_reports() -> None:
    """The roll-up summed once more: days and spans of keys, quarters of an hour of groups."""
    for name, holders in (
        ("usage_days", ("group_id", "member_id", "key_id")),
        ("usage_spans", ("group_id", "member_id", "key_id")),
        ("usage_quarters", ("group_id",)),
    ):
        key = ("workspace_id", "bucket", *holders, "model", "endpoint")
        sums = ("requests", "input_tokens", "output_tokens", "cached_tokens", "cost")
        op.create_table(
            name,
            *(
                sa.Column(
                    column, sa.BigInteger() if column == "bucket" else sa.Text(), nullable=False
                )
                for column in key
            ),
            *(sa.Column(column, sa.BigInteger(), nullable=False) for column in sums),
            sa.PrimaryKeyConstraint(*key),
            sqlite_with_rowid=False,
        )


def _folding() -> None:
    """Sums of what the log no longer holds row by row."""
    op.create_table(
        "folded",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("after_reset", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_aliases", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("endpoint_group", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("guessed", sa.BigInteger(), nullable=False),
        sa.Column("guessed_cost", sa.BigInteger(), nullable=False),
        sa.Column("uncharged", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "workspace_id",
            "member_id",
            "key_id",
            "since",
            "after_reset",
            "model",
            "model_aliases",
            "endpoint",
            "endpoint_group",
            "group_id",
        ),
    )
    op.create_index("folded_by_group", "folded", ["workspace_id", "group_id", "since"])
