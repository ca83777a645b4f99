"""How the bound of a job's progress became better over time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the column; jobs that older releases ran have no such points."""
    op.add_column("jobs", sa.Column("progress_bounds", sa.Text().with_variant(sa.Text(collation="C"), "postgresql")))
