"""The logs of jobs: of each the last lines, by their positions."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from qiosk.adapters.sql.tables import key_parameters, log_lines, moment, to_time
from qiosk.contract.logs import MAX_LOG_BYTES, LogLine
from qiosk.service.jobs.job import JobKey

_IS_LOG = sa.and_(log_lines.c.workspace == sa.bindparam("key_workspace"), log_lines.c.job_id == sa.bindparam("key_id"))
_END = sa.select(sa.func.max(log_lines.c.position)).where(_IS_LOG)
_ADD = log_lines.insert()
_DROP = log_lines.delete().where(_IS_LOG, log_lines.c.position <= sa.bindparam("up_to", type_=sa.BigInteger))
_READ = (
    sa.select(log_lines.c.at, log_lines.c.level, log_lines.c.text, log_lines.c.position)
    .where(_IS_LOG, log_lines.c.position > sa.bindparam("after", type_=sa.BigInteger))
    .order_by(log_lines.c.position)
)
_LAST_POSITION = 2**63 - 1


def append(tx: sa.Connection, key: JobKey, lines: Sequence[LogLine]) -> None:
    """Append lines to the log of a job whose row this transaction has written, and drop the oldest ones."""
    if not lines:
        return
    position = tx.execute(_END, key_parameters(key)).scalar() or 0
    rows = []
    for line in lines:
        position += line.size
        row = {"position": position, "at": to_time(line.time), "level": line.level, "text": line.text}
        rows.append({"workspace": key.workspace, "job_id": key.id, **row})
    tx.execute(_ADD, rows)
    tx.execute(_DROP, {**key_parameters(key), "up_to": position - MAX_LOG_BYTES})


def read(tx: sa.Connection, key: JobKey, after: int) -> Sequence[LogLine]:
    """The kept lines after position ``after``."""
    found = tx.execute(_READ, {**key_parameters(key), "after": min(after, _LAST_POSITION)})
    return [LogLine(time=moment(at), level=level, text=text, position=end) for at, level, text, end in found]
