"""Indexes to find out whether a job's container contains data of other jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create them."""
    for name, columns in (("container", ["container"]), ("input", ["input_container", "input_blob"])):
        is_elsewhere = sa.text(f"{columns[0]} <> 'job-' || id")
        op.create_index(
            f"jobs_by_{name}",
            "jobs",
            ["workspace", *columns],
            sqlite_where=is_elsewhere,
            postgresql_where=is_elsewhere,
        )
