"""A cost that no configuration is below, of a job's progress."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column; older jobs have no bound."""
    op.add_column("jobs", sa.Column("progress_bound", sa.Float))
