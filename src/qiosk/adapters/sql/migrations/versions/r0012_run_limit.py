"""How long a job may run by the settings of the process that accepted it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; older jobs have no such limit."""
    op.add_column("jobs", sa.Column("run_limit", sa.Float))
