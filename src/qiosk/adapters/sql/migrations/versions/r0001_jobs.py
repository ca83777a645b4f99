"""Jobs and their traces, as the first release stored them in SQLite."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table("qiosk_schema", sa.Column("version", sa.Integer, primary_key=True))
    op.create_table("jobs", *_identity(), *_definition(), *_state(), *_run())
    op.create_index(
        "jobs_by_claim_order", "jobs", ["state", sa.text("is_urgent DESC"), "created_at", "workspace", "id"]
    )
    op.create_index("jobs_by_creation", "jobs", ["workspace", "created_at", "id"])
    op.create_table(
        "trace_points",
        sa.Column("workspace", _text(), primary_key=True),
        sa.Column("job_id", _text(), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("sweep", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Float, nullable=False),
        sa.ForeignKeyConstraint(["workspace", "job_id"], ["jobs.workspace", "jobs.id"], ondelete="CASCADE"),
    )


def _text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _identity() -> list[sa.Column[str]]:
    return [sa.Column(name, _text(), primary_key=True) for name in ("workspace", "id")]


def _definition() -> list[sa.Column[Any]]:
    needed = ("name", "provider_id", "target", "job_type", "input_params", "metadata", "tags")
    places = ("container", "input_container", "input_blob", "input_data_format", "output_data_format", "definition")
    return [
        *(sa.Column(name, _text(), nullable=False) for name in needed),
        sa.Column("priority", _text()),
        sa.Column("is_urgent", sa.Integer, nullable=False),
        sa.Column("session_id", _text()),
        *(sa.Column(name, _text(), nullable=False) for name in places),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    ]


def _state() -> list[sa.Column[Any]]:
    return [
        sa.Column("state", _text(), nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("begun_at", "ended_at", "cancelled_at")),
        *(sa.Column(name, _text()) for name in ("error_code", "error_message")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("fence", "losses")),
        sa.Column("worker", _text()),
        sa.Column("lease_expires_at", sa.BigInteger),
    ]


def _run() -> list[sa.Column[Any]]:
    return [
        sa.Column("progress_fraction", sa.Float, nullable=False),
        sa.Column("progress_sweeps", sa.BigInteger, nullable=False),
        sa.Column("progress_best_cost", sa.Float),
        sa.Column("progress_seconds", sa.Float, nullable=False),
        sa.Column("best_blob", _text()),
        sa.Column("best_cost", sa.Float),
        *(sa.Column(name, _text()) for name in ("checkpoint_blob", "output_blob")),
        sa.Column("revision", sa.BigInteger, nullable=False),
    ]
