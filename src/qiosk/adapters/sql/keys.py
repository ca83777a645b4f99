"""API keys over SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, final

import sqlalchemy as sa

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.databases.readable import has_key, readable
from qiosk.adapters.sql.tables import TEXT, from_time, metadata, to_time
from qiosk.errors import KeyNotFound
from qiosk.service.accounts.keys import ApiKey

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("workspace", TEXT),
    sa.Column("is_read_only", sa.Integer, nullable=False),
    sa.Column("digest", TEXT, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
)

_TIMES = ("created_at", "expires_at", "revoked_at")
_SAME = ("id", "name", "workspace", "digest")


@final
class SqlKeyStore:
    """``KeyStore`` over a database; several processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        row = {
            **{member: getattr(key, member) for member in _SAME},
            **{member: to_time(getattr(key, member)) for member in _TIMES},
            "is_read_only": int(key.is_read_only),
        }
        with self._database.write_once() as tx:
            tx.execute(api_keys.insert().values(row))

    def get(self, key_id: str) -> ApiKey:
        """The key with this id. Raises KeyNotFound."""
        with self._database.read() as tx:
            row = tx.execute(sa.select(api_keys).where(api_keys.c.id == key_id)).mappings().one_or_none()
        return _from_row(key_id, row)

    def list(self) -> Sequence[ApiKey]:
        """All keys, oldest first."""
        oldest_first = sa.select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        with self._database.read() as tx:
            rows = tx.execute(oldest_first).mappings().all()
        return [_from_row(row["id"], row) for row in rows if has_key(api_keys, row)]

    def revoke(self, key_id: str, at: datetime) -> ApiKey:
        """The key, revoked. Raises KeyNotFound."""
        is_valid = sa.and_(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        with self._database.write_once() as tx:
            tx.execute(api_keys.update().where(is_valid).values(revoked_at=to_time(at)))
        return self.get(key_id)

    def is_empty(self) -> bool:
        """Whether there never was a key."""
        with self._database.read() as tx:
            return tx.execute(sa.select(api_keys.c.id).limit(1)).one_or_none() is None


def _from_row(key_id: str, stored: Mapping[Any, Any] | None) -> ApiKey:
    if stored is None:
        raise KeyNotFound(f"API key {key_id} was not found", key_id=key_id)
    row = readable(api_keys, stored)
    same: dict[str, Any] = {member: row[member] for member in _SAME}
    times: dict[str, Any] = {member: from_time(row[member]) for member in _TIMES}
    if row != dict(stored):  # a key whose limits are unknown opens nothing
        times["revoked_at"] = times["revoked_at"] or times["created_at"]
    return ApiKey(**same, **times, is_read_only=bool(row["is_read_only"]))
