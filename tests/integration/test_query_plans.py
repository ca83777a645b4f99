"""What databases make of statements whose cost must not grow with the number of jobs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.sessions import SqlSessionStore
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import JobQuery, SubmitJob
from qiosk.contract.paging import ItemOrder
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import JobKey
from qiosk.service.paging import Cursor
from qiosk.testing import MemoryBlobStore

NOW = datetime(2026, 5, 1, tzinfo=UTC)
COMMAND = SubmitJob(name="a", provider_id="Microsoft", target="t.cpu", input_data=b"")


def plans(database: Database, act: Callable[[], object]) -> list[str]:
    """The plan of every statement that ``act`` reads by, where a whole table is looked through only if it has to be."""
    statements: list[tuple[str, Any]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        statements.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    with database.write() as connection:
        word = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        return [
            "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{word} {statement}", parameters))
            for statement, parameters in statements
        ]


@pytest.mark.parametrize("place", [("shared",), ("shared", "inputData")])
def test_who_needs_a_container_is_found_by_indexes(database, place):
    store = SqlJobStore(database)
    (plan,) = plans(database, lambda: store.is_needed(JobKey("w", "a"), *place))
    assert "jobs_by_input" in plan
    assert "jobs_by_container" in plan or len(place) == 2
    assert "SCAN jobs" not in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # PostgreSQL plans by what there is, and here is little
def test_claims_look_at_the_heads_of_queues_and_sort_no_jobs(database):
    store = SqlJobStore(database)
    queues, *_ = plans(database, lambda: store.claim(worker="w", now=NOW, lease_expires_at=NOW))
    reads = [line for line in queues.splitlines() if "jobs" in line]
    assert reads
    assert all("USING COVERING INDEX" in line for line in reads)
    assert queues.count("TEMP B-TREE") == 1, "the queues"


def test_a_claim_takes_the_head_without_sorting(database):
    store = SqlJobStore(database)
    store.add(define_job("j", COMMAND, workspace="w", blobs=MemoryBlobStore(), at=NOW))
    *_, take = plans(database, lambda: store.claim(worker="w", now=NOW, lease_expires_at=NOW))
    assert "jobs_by_claim_order" in take
    assert "Sort" not in take
    assert "TEMP B-TREE" not in take


@pytest.mark.parametrize("after", [None, Cursor("", NOW, "j")])
@pytest.mark.parametrize("items", ["jobs", "sessions"])
def test_items_are_found_by_the_beginning_of_their_ids(database, items, after):
    store: Any = SqlJobStore(database) if items == "jobs" else SqlSessionStore(database)
    query: Any = (JobQuery if items == "jobs" else ItemQuery)(id_prefix="7a1f")
    (plan,) = plans(database, lambda: store.page("w", query, after, 10))
    wanted = r"\(workspace=\? AND id>\? AND id<\?" if database.is_sqlite else r"Index Cond: .*id >= .* AND \(id < "
    assert re.search(wanted, plan), plan


def test_the_extensions_of_a_job_are_found_by_an_index(database):
    store = SqlJobStore(database)
    (plan,) = plans(database, lambda: store.page("w", JobQuery(parent_id="j"), Cursor("", NOW, "j"), 10))
    assert "jobs_by_parent" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("order", [order for order in ItemOrder if order is not ItemOrder.ITEM_TYPE])
@pytest.mark.parametrize("items", ["jobs", "sessions"])
def test_a_page_begins_where_the_one_before_ended(database, items, order, descending):
    store: Any = SqlJobStore(database) if items == "jobs" else SqlSessionStore(database)
    query: Any = (JobQuery if items == "jobs" else ItemQuery)(order_by=order, descending=descending)
    (plan,) = plans(database, lambda: store.page("w", query, Cursor("", NOW, "j"), 10))
    assert f"{items}_by_" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan
    bound = f"{'<' if descending else '>'}"
    if database.is_sqlite:
        assert re.search(rf"\(workspace=\? AND \([a-z_,]*created_at,id\){bound}\(", plan), plan
    else:
        condition = next(line for line in plan.splitlines() if "Index Cond" in line)
        assert f"created_at, id) {bound} ROW(" in condition
