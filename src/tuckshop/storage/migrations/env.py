"""Alembic's entry: runs the migrations over the connection it was handed, or words them for a dialect."""

from __future__ import annotations

from alembic import context

from tuckshop.storage.schema import metadata

context.configure(
    connection=context.config.attributes.get("connection"),
    dialect_name=context.config.attributes.get("dialect_name"),
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by copying it
    transactional_ddl=False,  # the caller's transaction is around all of it
)
context.run_migrations()
