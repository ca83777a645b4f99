"""What a job's run does instead of searching."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column."""
    op.add_column("jobs", sa.Column("progress_activity", sa.Text().with_variant(sa.Text(collation="C"), "postgresql")))
