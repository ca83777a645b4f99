"""Tags of jobs and sessions, each on a line of its own, so that the ones that have a tag can be searched."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_BATCH = 1000


def upgrade() -> None:
    """Write the tags of rows with several ones again."""
    for name in ("jobs", "sessions"):
        table = sa.table(name, *map(sa.column, ("workspace", "id", "tags")))
        is_row = sa.and_(table.c.workspace == sa.bindparam("w"), table.c.id == sa.bindparam("i"))
        rewrite = table.update().where(is_row).values(tags=sa.bindparam("t"))
        found = op.get_bind().execute(sa.select(table).where(table.c.tags.like('%", "%'))).all()
        rows = [{"w": row.workspace, "i": row.id, "t": _in_lines(row.tags)} for row in found]
        for first in range(0, len(rows), _BATCH):
            op.get_bind().execute(rewrite, rows[first : first + _BATCH])


def _in_lines(tags: str) -> str:
    try:
        return json.dumps(json.loads(tags), separators=(",\n", ": "))
    except (ValueError, RecursionError):
        return tags  # what is damaged stays as it is
