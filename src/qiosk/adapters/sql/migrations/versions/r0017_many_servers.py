"""What servers of one database know of each other: compatible releases, secrets of links, and who watches claims."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table("schema_compatibility", sa.Column("oldest_revision", _TEXT, primary_key=True))
    op.create_table(
        "link_secrets",
        sa.Column("fingerprint", _TEXT, primary_key=True),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "watchers",
        sa.Column("seat", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("worker", _TEXT, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
