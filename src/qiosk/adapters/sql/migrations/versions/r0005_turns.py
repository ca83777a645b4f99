"""Claims that are fair between workspaces first, and look at urgency within each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Sort waiting jobs by workspace before urgency."""
    op.drop_index("jobs_by_claim_order", "jobs")
    op.create_index(
        "jobs_by_claim_order", "jobs", ["state", "workspace", sa.text("is_urgent DESC"), "created_at", "id"]
    )
