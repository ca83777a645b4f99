"""``python -m benchmarks.scale [parts] [jobs] [claims] [predict] [--database URL] [--executor local]``.

What jobs cost beside their solving. Without names all of it. ``--database`` is a PostgreSQL server of this machine;
without it only SQLite is measured, and neither ``claims`` nor ``predict``.

``parts``: what each part of a trivial job takes. ``jobs``: throughput, and latency at half of it, of trivial and of 1-s
jobs by slots and supervisors, beside what the model makes of the parts. ``claims``: claims a second by claimants, and
lengths of the queue. ``predict``: the model of 1000 nodes, by the parts that were measured last. The raw numbers are
written to ``benchmarks/results/scale``.

Where other programs keep all cores busy, ``--contended`` lets the model take it that their share, and not the number of
cores, determines how long a process takes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TypeVar

from benchmarks.scale import check, claims, predict
from benchmarks.scale.clusters import a_cluster
from benchmarks.scale.costs import load_costs, save, save_costs
from benchmarks.scale.jobs import SECOND, TRIVIAL, Setting
from benchmarks.scale.places import LOCAL, SQLITE, kind_of
from benchmarks.service.store import a_database

Row = TypeVar("Row", claims.ClaimRow, check.Checked, predict.Prediction)
NAMES = ("parts", "jobs", "claims", "predict")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--database", default=SQLITE, metavar="URL", help="of a PostgreSQL server of this machine")
    parser.add_argument("--no-sqlite", action="store_true", help="measure that database alone")
    parser.add_argument("--executor", default=LOCAL, choices=[LOCAL, "ray"], help="where jobs run")
    parser.add_argument("--jobs", type=int, default=100, help="jobs of a row; a fifth of that if they take 1 s")
    parser.add_argument("--kinds", nargs="+", choices=[TRIVIAL, SECOND], default=[TRIVIAL, SECOND])
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--supervisors", type=int, nargs="+", default=[2, 4], help="numbers of them, of 4 slots each")
    parser.add_argument("--repeats", type=int, default=3, help="rows are medians of so many")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a row of claims")
    parser.add_argument("--longest", type=int, default=1_000_000, help="longest queue")
    parser.add_argument("--contended", action="store_true")
    given = parser.parse_args()
    names = given.names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"must be among {', '.join(NAMES)}, found {', '.join(sorted(unknown))}")
    databases = dict.fromkeys([given.database] if given.no_sqlite else [SQLITE, given.database])
    with an_executor(given):
        if "parts" in names:
            for database in databases:
                costs = check.parts_of(database, given.executor, given.jobs)
                save_costs(costs)
                print("", *costs.lines(), sep="\n", flush=True)
        if "jobs" in names:
            print("", check.HEADER, sep="\n")
            for database in databases:
                measure_rows(database, given)
    if "claims" in names and given.database:
        print("", claims.HEADER, sep="\n")
        with a_database(given.database) as database:
            rows = [show(row) for row in claims.claim_rows(database, given.seconds, given.longest)]
        save("claims", [asdict(row) for row in rows])
    if "predict" in names and given.database:
        print("", predict.HEADER, sep="\n")
        save("predictions", [asdict(show(p)) for p in predict.predictions(load_costs(kind_of(given.database)))])


@contextmanager
def an_executor(given: argparse.Namespace) -> Iterator[None]:
    """What jobs run on: a Ray cluster has twice as many CPUs as jobs are run at once, so that none waits for Ray."""
    if given.executor == LOCAL:
        yield
        return
    most = max(*given.slots, *(4 * supervisors for supervisors in given.supervisors))
    with a_cluster(os.environ.get("QIOSK_RAY_ADDRESS"), [2 * most]) as address:
        os.environ["QIOSK_RAY_ADDRESS"] = address
        yield


def show(row: Row) -> Row:
    """Print a row as soon as it is there."""
    print(row.line(), flush=True)
    return row


def settings(database: str, given: argparse.Namespace) -> Iterator[tuple[Setting, int]]:
    """What is measured with one database, and how many jobs there are; several supervisors share a server only."""
    for kind in given.kinds:
        for slots in given.slots:
            count = given.jobs if kind == TRIVIAL else max(10, given.jobs // 5 * slots // 2)
            yield Setting(kind_of(database), kind, 1, slots, given.executor), count
    if database and SECOND in given.kinds:
        for supervisors in given.supervisors:
            yield Setting(kind_of(database), SECOND, supervisors, 4, given.executor), given.jobs // 5 * 2 * supervisors


def measure_rows(database: str, given: argparse.Namespace) -> None:
    """Measure the rows of one database, beside the model, and keep them."""
    cores = None if given.contended else os.cpu_count()
    rows = [
        show(check.measure_and_check(database, setting, count, given.jobs // 5, cores, given.repeats))
        for setting, count in settings(database, given)
    ]
    save(f"jobs-{kind_of(database)}-{given.executor}", [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
