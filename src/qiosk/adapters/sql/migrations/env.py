"""What Alembic runs: all revisions that are missing, in the transaction it was given."""

from __future__ import annotations

from alembic import context

from qiosk.adapters.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
