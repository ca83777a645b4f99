"""An index of the jobs that extend others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Create it."""
    has_parent = sa.text("parent_id IS NOT NULL")
    op.create_index(
        "jobs_by_parent",
        "jobs",
        ["workspace", "parent_id", "created_at", "id"],
        sqlite_where=has_parent,
        postgresql_where=has_parent,
    )
