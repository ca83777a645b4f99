"""What each part of a trivial job costs: this process takes the place of the supervisor, one job at a time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from typing import Any

import numpy as np
import psutil

from benchmarks.scale.costs import Cost, Costs
from benchmarks.scale.jobs import trivial
from benchmarks.scale.places import a_home, kind_of, settings_of
from benchmarks.scale.rows import add_running, remove_all
from benchmarks.scale.runners import TIMED, USED
from benchmarks.scale.server import ServerTime, processor_seconds
from qiosk.bootstrap import open_embedded
from qiosk.bootstrap.stores import Stores
from qiosk.bootstrap.supervised import SupervisedHome
from qiosk.contract.logs import LogLine
from qiosk.service.jobs.attempts import KEPT_BYTES, Attempt, claim_next
from qiosk.service.jobs.job import Job
from qiosk.service.jobs.job_service import JobService
from qiosk.service.jobs.runs import RunOutcome, RunUpdate
from qiosk.settings import Settings
from qiosk.supervisor.processes.job_process import JobProcess, ProcessOptions, warm_context
from qiosk.supervisor.processes.local import LocalExecutor
from qiosk.supervisor.supervisor import Supervisor

ROWS = 1_000
POLLS = 500
CALL_PAUSE_S = 0.005
"""Before each call of the database: messages of jobs wake a supervisor about as often. Without pauses it is faster."""
CHANGES = 3
"""Writes of a job, after each of which its supervisor looks for jobs to cancel."""
TURNS_UNSEEN = 25
"""Turns after which a supervisor is asked whether it has work."""
PAUSE_S = 0.05
"""Before each job, which then finds the caches of its core as cold as one that comes by itself."""
WARM_UP = 5


class Meter:
    """Calls a function several times, and adds up processor times."""

    def __init__(self, server: ServerTime) -> None:
        self._server = server

    def cost(self, calls: Sequence[Callable[[], Any]], results: list[Any] | None = None) -> Cost:
        """Of one call on average."""
        samples, used, cpu = [], self._server.seconds(), time.process_time()
        for call in calls:
            time.sleep(CALL_PAUSE_S)
            began = time.perf_counter()
            result = call()
            samples.append(1e3 * (time.perf_counter() - began))
            if results is not None:
                results.append(result)
        client, server = time.process_time() - cpu, self._server.seconds() - used
        return Cost(samples, 1e3 * client / len(calls), 1e3 * server / len(calls))


def measure_parts(database: str, jobs: int) -> Costs:
    """Measure in a home of its own."""
    with a_home(database) as (folder, url):
        settings = settings_of(folder / "home", url)
        home = SupervisedHome(settings)
        if not home.lock.acquire():  # so that submissions start no supervisor
            raise RuntimeError("a new home has a supervisor")
        context = warm_context(TIMED)
        stores, service = home.open_stores(), open_embedded(settings=settings)
        home.heartbeat.beat("")
        try:
            return _measure(kind_of(database), home, settings, stores, service, context, jobs)
        finally:
            service.close()
            stores.close()
            home.lock.release()


def _measure(
    name: str,
    home: SupervisedHome,
    settings: Settings,
    stores: Stores,
    service: JobService,
    context: ForkServerContext,
    jobs: int,
) -> Costs:
    count, meter = jobs + WARM_UP, Meter(ServerTime(stores.database))
    worker, limit_of = f"{home.identity()}/bench", stores.quotas.concurrent_jobs
    parts: dict[str, Cost] = {}
    claimed: list[Job] = []
    service.submit(trivial())
    parts["submit"] = meter.cost([lambda: service.submit(trivial())] * (count - 1))
    parts["count"] = meter.cost([lambda: stores.jobs.waiting(4)] * jobs)
    parts["claim"] = meter.cost(
        [lambda: claim_next(stores.jobs, stores.clock, worker=worker, limit_of=limit_of)] * count, claimed
    )
    attempts = [_attempt(stores, job) for job in claimed]
    options = ProcessOptions(storage=home.storage_url, runner=TIMED, memory_limit=0)
    runs = [_run(context, attempt, options, home) for attempt in attempts[:WARM_UP]]
    used = _childrens_seconds()
    runs += [_run(context, attempt, options, home) for attempt in attempts[WARM_UP:]]
    times = [found for _, _, found in runs[WARM_UP:]]
    parts |= _process_costs(times, 1e3 * (_childrens_seconds() - used) / len(times))
    reports = [(attempt, report) for attempt, (report, _, _) in zip(attempts, runs, strict=True)]
    parts["report"] = meter.cost([lambda p=p: p[0].report(p[1]) for p in reports])
    parts["record"] = meter.cost([lambda a=a: a.report(RunUpdate(spent_seconds=1.0)) for a in attempts[:jobs]])
    parts["cancelled"] = meter.cost([lambda: stores.jobs.running(home="another", is_cancelling=True)] * POLLS)
    ends = [(attempt, outcome) for attempt, (_, outcome, _) in zip(attempts, runs, strict=True)]
    parts["finish"] = meter.cost([lambda p=p: p[0].finish(p[1]) for p in ends])
    parts["poll"] = meter.cost([stores.jobs.version] * POLLS)
    if stores.watchers is not None:
        parts["seat"] = meter.cost([stores.watchers.all] * POLLS)
    parts["watch"] = meter.cost([stores.jobs.claims] * POLLS)
    remove_all(stores.database)
    wakes = float(np.mean([found["wakes"] for found in times]))
    for _ in range(jobs):
        service.submit(trivial())
    executor = LocalExecutor(context, options, concurrent_jobs=1)
    supervisor = Supervisor(home, stores, settings, executor)
    parts["turn"] = _turn_cost(supervisor, home, jobs, parts, wakes)
    executor.close()
    remove_all(stores.database)
    row = _row_cost(stores, meter, parts["watch"])
    return Costs(name, parts, wakes, row)


def _attempt(stores: Stores, job: Job) -> Attempt:
    blobs = stores.storage.blobs(job.workspace)
    return Attempt(job, jobs=stores.jobs, blobs=blobs, clock=stores.clock, kept_bytes=KEPT_BYTES)


def _run(
    context: ForkServerContext, attempt: Attempt, options: ProcessOptions, home: SupervisedHome
) -> tuple[RunUpdate, RunOutcome, dict[str, float]]:
    """Run a job as a supervisor would: what it reports, its end, and milliseconds of its parts."""
    home.heartbeat.beat("")
    time.sleep(PAUSE_S)
    attempt.note(20, "runs")
    spec = attempt.spec(threads=1)
    before, own = processor_seconds(_fork_server()), time.process_time()
    asked = time.perf_counter()
    process = JobProcess(context, spec, options)
    at: dict[str, float] = {}
    wakes, lines = 0, ""
    report, outcome = RunUpdate(), None
    while process.exit_code() is None:
        wait(process.wait_on(), timeout=1.0)
        now = time.perf_counter()
        wakes += 1
        for message in process.messages():
            at.setdefault("lives", now)
            if isinstance(message, RunUpdate):
                attempt.add_lines(message.log)
                lines += "".join(_texts(message.log))
                report = report.then(replace(message, log=()))
            elif isinstance(message, RunOutcome):
                at["ended"], outcome = now, message
    at["exited"] = time.perf_counter()
    process.close()
    attended = time.process_time() - own
    assert outcome is not None, "a trivial job fails"
    match = re.search(rf"{USED} (\S+) (\S+) (\S+)", lines)
    assert match is not None
    begun, prepared, solved = map(float, match.groups())
    found = {
        "fork": 1e3 * (at["lives"] - asked),
        "prepare": 1e3 * max(0.0, begun - at["lives"]),
        "run": 1e3 * (at["ended"] - max(begun, at["lives"])),
        "exit": 1e3 * (at["exited"] - at["ended"]),
        "fork server": 1e3 * (processor_seconds(_fork_server()) - before),
        "prepare CPU": 1e3 * prepared,
        "run CPU": 1e3 * (solved - prepared),
        "attend": 1e3 * attended / wakes,
        "wakes": wakes,
    }
    return report, outcome, found


def _turn_cost(
    supervisor: Supervisor, home: SupervisedHome, jobs: int, parts: Mapping[str, Cost], wakes: float
) -> Cost:
    """Of a turn of a real supervisor's loop that runs so many jobs, without the parts that are measured one by one."""
    turns = 0

    def has_more() -> bool:
        nonlocal turns
        turns += 1
        if turns % TURNS_UNSEEN == 0:
            home.heartbeat.beat("")
        return turns % TURNS_UNSEEN != 0 or supervisor.has_work()

    began = time.process_time()
    supervisor.run(should_continue=has_more)
    used = 1e3 * (time.process_time() - began)
    known = sum(parts[name].client * times for name, times in _of_a_job(wakes).items())
    each = max(0.0, (used - jobs * known) / turns - parts["poll"].client)
    return Cost([each], each)


def _of_a_job(wakes: float) -> Mapping[str, float]:
    """What a supervisor does for one job, and how often."""
    return {"claim": 1, "count": 1, "attend": wakes, "report": 1, "cancelled": CHANGES, "finish": 1}


def _fork_server() -> int:
    return int(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]


def _childrens_seconds() -> float:
    """Processor time of the processes of all jobs that have ended."""
    times = psutil.Process(_fork_server()).cpu_times()
    return float(times.children_user + times.children_system)


def _texts(log: Sequence[LogLine]) -> list[str]:
    return [f"{line.text}\n" for line in log]


def _process_costs(runs: Sequence[dict[str, float]], process: float) -> dict[str, Cost]:
    """The parts in a job's process, and the processor time of the fork server and of that process: ``process`` in all.

    The process tells how much it has used before and after the solver; the rest it used for the results and at its end.
    """
    mean = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    early = max(0.0, mean["prepare CPU"] - mean["prepare"])  # before the process's first message
    cpu = {
        "fork": mean["fork server"] + early,
        "prepare": mean["prepare CPU"] - early,
        "exit": min(mean["exit"], process - mean["prepare CPU"] - mean["run CPU"]),
        "attend": mean["attend"],
    }
    cpu["run"] = process - mean["prepare CPU"] - cpu["exit"]
    return {name: Cost([run[name] for run in runs], cpu[name]) for name in cpu}


def _row_cost(stores: Stores, meter: Meter, empty: Cost) -> Cost:
    add_running(stores.database, ROWS, worker="another/w")
    full = meter.cost([stores.jobs.claims] * 20)
    remove_all(stores.database)
    return Cost(
        [(full.median - empty.median) / ROWS],
        (full.client - empty.client) / ROWS,
        max(0.0, full.server - empty.server) / ROWS,
    )
