"""How long the attempts of a job have run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column."""
    op.add_column("jobs", sa.Column("spent_seconds", sa.Float, nullable=False, server_default="0"))
