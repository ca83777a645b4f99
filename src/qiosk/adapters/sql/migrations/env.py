"""Run by Alembic: applies all missing revisions in the given transaction."""

from __future__ import annotations

from alembic import context

from qiosk.adapters.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
