"""Who submitted a job, and where its results come from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add columns; of older jobs nothing is known."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    for name in ("submitter", "provenance"):
        op.add_column("jobs", sa.Column(name, text))
