"""Lists in every order, claims that are fair between workspaces, and a count of supervisors that died."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_BATCH = 1000


def upgrade() -> None:
    """Add columns and indexes."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("jobs", sa.Column("name_key", text, nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("supervisor_deaths", sa.Integer, nullable=False, server_default="0"))
    _fill_name_keys()
    op.drop_table("qiosk_schema")
    op.drop_index("jobs_by_claim_order", "jobs")
    op.create_index(
        "jobs_by_claim_order", "jobs", ["state", sa.text("is_urgent DESC"), "workspace", "created_at", "id"]
    )
    keys: dict[str, str | sa.TextClause] = {
        "name": "name_key",
        "job_type": "job_type",
        "provider_id": sa.text("lower(provider_id)"),
        "target": sa.text("lower(target)"),
        "state": "state",
        "session": "session_id",
    }
    for name, key in keys.items():
        op.create_index(f"jobs_by_{name}", "jobs", ["workspace", key, "created_at", "id"])


def _fill_name_keys() -> None:
    jobs = sa.table("jobs", *(sa.column(name) for name in ("workspace", "id", "name", "name_key")))
    tx = op.get_bind()
    rows = tx.execute(sa.select(jobs.c.workspace, jobs.c.id, jobs.c.name)).all()
    this = sa.and_(jobs.c.workspace == sa.bindparam("w"), jobs.c.id == sa.bindparam("i"))
    fill = jobs.update().where(this).values(name_key=sa.bindparam("k"))
    for first in range(0, len(rows), _BATCH):
        batch = rows[first : first + _BATCH]
        tx.execute(fill, [{"w": row.workspace, "i": row.id, "k": row.name.casefold()[:200]} for row in batch])
