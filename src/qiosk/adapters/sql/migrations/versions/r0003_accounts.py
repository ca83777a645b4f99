"""Sessions, API keys, what workspaces used, and their limits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables, and the indexes on jobs that sessions and retention need."""
    _sessions()
    op.create_table(
        "api_keys",
        sa.Column("id", _TEXT, primary_key=True),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("workspace", _TEXT),
        sa.Column("is_read_only", sa.Integer, nullable=False),
        sa.Column("digest", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_table(
        "job_usage",
        sa.Column("workspace", _TEXT, primary_key=True),
        sa.Column("month", _TEXT, primary_key=True),
        sa.Column("seconds", sa.Float, nullable=False),
    )
    op.create_table(
        "workspace_limits",
        sa.Column("workspace", _TEXT, primary_key=True),
        sa.Column("dimension", _TEXT, primary_key=True),
        sa.Column("value", sa.Float),
    )
    in_session = sa.text("session_id IS NOT NULL")
    op.create_index(
        "jobs_by_session_state",
        "jobs",
        ["workspace", "session_id", "state"],
        sqlite_where=in_session,
        postgresql_where=in_session,
    )
    op.create_index("jobs_by_end", "jobs", ["ended_at", "workspace", "id"])


def _sessions() -> None:
    needed = ("name", "name_key", "provider_id", "target", "policy", "tags", "definition", "status")
    op.create_table(
        "sessions",
        sa.Column("workspace", _TEXT, primary_key=True),
        sa.Column("id", _TEXT, primary_key=True),
        *(sa.Column(name, _TEXT, nullable=False) for name in needed),
        *(sa.Column(name, _TEXT) for name in ("priority", "error_code", "error_message")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("created_at", "active_at", "revision")),
        *(sa.Column(name, sa.BigInteger) for name in ("begun_at", "ended_at")),
        sa.Column("is_settled", sa.Integer, nullable=False),
    )
    keys: dict[str, str | sa.TextClause] = {
        "name": "name_key",
        "provider_id": sa.text("lower(provider_id)"),
        "target": sa.text("lower(target)"),
        "state": "status",
    }
    op.create_index("sessions_by_creation", "sessions", ["workspace", "created_at", "id"])
    for name, key in keys.items():
        op.create_index(f"sessions_by_{name}", "sessions", ["workspace", key, "created_at", "id"])
    op.create_index("sessions_by_end", "sessions", ["is_settled", "status", "ended_at"])
