"""Lower case of providers and targets, by which jobs and sessions are sorted and searched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_COLUMNS = {"provider_id": "provider_key", "target": "target_key"}


def upgrade() -> None:
    """Add and fill columns, and sort by them."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    for table in ("jobs", "sessions"):
        for key in _COLUMNS.values():
            op.add_column(table, sa.Column(key, text, nullable=False, server_default=""))
        filled = sa.table(table, *map(sa.column, (*_COLUMNS, *_COLUMNS.values())))
        lower = {key: sa.func.lower(filled.c[column]) for column, key in _COLUMNS.items()}
        op.execute(filled.update().values(lower))
        for column, key in _COLUMNS.items():
            op.drop_index(f"{table}_by_{column}", table)
            op.create_index(f"{table}_by_{column}", table, ["workspace", key, "created_at", "id"])
