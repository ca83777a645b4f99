"""The model of the scheduler, where its answer is known in closed form."""

from __future__ import annotations

import heapq
import math
import random
import statistics
from itertools import accumulate

import pytest

from benchmarks.scale.costs import CLUSTER_PARTS, PARTS, Cost, Costs
from benchmarks.scale.model import Design, Model, Plant

FREE = Cost([0.0], 0.0)
ONE_HOST = {"cores": None, "database_cores": None}


def costs(**parts: Cost) -> Costs:
    """Parts that are not given take no time; those of a cluster are there if one of them is given."""
    on_cluster = CLUSTER_PARTS if "place" in parts else ()
    return Costs(
        "none", {name: parts.get(name, FREE) for name, _ in (*PARTS, *on_cluster)}, 0.0, parts.get("row", FREE)
    )


def a_wait(ms: float) -> Cost:
    """A part that waits and works at nothing."""
    return Cost([ms], 0.0)


@pytest.mark.parametrize(("supervisors", "slots"), [(1, 1), (1, 4), (3, 2)])
def test_jobs_of_equal_length_keep_all_slots_busy(supervisors, slots):
    model = Model(costs(), Plant(supervisors, slots, **ONE_HOST), seed=1)
    model.backlog(200, 1.0)
    outcome = model.run(math.inf, jobs=200)
    assert outcome.rate() == pytest.approx(supervisors * slots, rel=0.1)
    assert max(outcome.latencies_s) == pytest.approx(200 / (supervisors * slots), rel=0.1)


def test_one_process_starts_at_a_time():
    model = Model(costs(fork=a_wait(50.0)), Plant(1, 64, **ONE_HOST))
    model.backlog(500, 1.0)
    assert model.run(math.inf, jobs=500).rate(2.0) == pytest.approx(20.0, rel=0.02)


@pytest.mark.parametrize(("slots", "rate"), [(4, 2.0), (200, 20.0)])
def test_a_cluster_places_many_jobs_at_a_time_and_its_node_starts_one(slots, rate):
    model = Model(costs(place=a_wait(950.0), fork=a_wait(50.0)), Plant(1, slots, **ONE_HOST))
    model.backlog(1000, 1.0)
    assert model.run(math.inf, jobs=500).rate(5.0) == pytest.approx(rate, rel=0.05)


def test_what_the_supervisor_does_itself_adds_up():
    model = Model(costs(claim=a_wait(5.0), count=a_wait(1.0), finish=a_wait(4.0)), Plant(1, 64, **ONE_HOST))
    model.backlog(2000, 0.1)
    assert model.run(math.inf, jobs=2000).rate(2.0) == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize("cores", [1, 2])
def test_processes_share_the_cores_of_their_host(cores):
    model = Model(costs(run=Cost([40.0], 40.0)), Plant(1, 8, cores))
    model.backlog(400, Cost([40.0], 40.0))
    assert model.run(math.inf, jobs=400).rate(1.0) == pytest.approx(cores / 0.04, rel=0.03)


def test_the_database_serves_as_many_claims_as_it_has_cores_for():
    claim = Cost([10.0], 0.0, 10.0)
    model = Model(costs(claim=claim), Plant(16, 4, None, is_one_host=False, database_cores=2))
    model.backlog(4000, 0.01)
    outcome = model.run(10.0)
    assert outcome.rate(2.0) == pytest.approx(200.0, rel=0.02)
    assert sum(outcome.database_s.values()) == pytest.approx(2 * outcome.simulated_s, rel=0.02)


@pytest.mark.parametrize(("watchers", "looking"), [(None, 10), (3, 3), (20, 10)])
def test_looks_at_claims_cost_rows_times_supervisors_that_look(watchers, looking):
    row = Cost([0.01], 0.0, 0.01)
    plant = Plant(10, 4, None, is_one_host=False, database_cores=4)
    model = Model(costs(row=row), plant, Design(watchers=watchers))
    model.backlog(40, 1e6)
    outcome = model.run(101.0)
    assert outcome.database_s["watch"] == pytest.approx(100 * looking * 40 * 1e-5, rel=0.05)


@pytest.mark.parametrize(("slots", "load"), [(1, 0.5), (3, 0.9)])
def test_random_arrivals_of_equal_jobs_wait_for_the_slot_that_is_free_first(slots, load):
    arrivals = random_times(load * slots, 300)
    model = Model(costs(), Plant(1, slots, **ONE_HOST), Design(poll_s=1e3))
    model.arrivals(arrivals, 1.0)
    outcome = model.run(math.inf, jobs=len(arrivals))
    free, expected = [0.0] * slots, []
    for at in arrivals:
        end = max(at, heapq.heappop(free)) + 1.0
        heapq.heappush(free, end)
        expected.append(end - at)
    assert outcome.latencies_s == pytest.approx(expected)


def test_random_arrivals_of_random_jobs_wait_as_erlang_says():
    slots, load, count = 4, 0.7, 4_000
    chance = random.Random(5)
    samples = [1e3 * chance.expovariate(1.0) for _ in range(count)]
    mean = statistics.fmean(samples) / 1e3
    found: list[float] = []
    for seed in range(4):
        model = Model(costs(), Plant(1, slots, **ONE_HOST), Design(poll_s=1e3), seed=seed)
        model.arrivals(random_times(load * slots / mean, count, seed), Cost(samples, 0.0))
        found += model.run(math.inf, jobs=count).latencies_s
    offered = load * slots
    busy = offered**slots / math.factorial(slots) / (1 - load)
    waits = busy / (sum(offered**k / math.factorial(k) for k in range(slots)) + busy)
    expected = mean + waits * mean / (slots * (1 - load))
    assert statistics.fmean(found) == pytest.approx(expected, rel=0.1)


def random_times(rate: float, count: int, seed: int = 7) -> list[float]:
    chance = random.Random(seed)
    return list(accumulate(chance.expovariate(rate) for _ in range(count)))


def test_the_same_seed_gives_the_same_run():
    def ends() -> list[float]:
        model = Model(costs(claim=Cost([1.0, 2.0, 5.0], 0.5)), Plant(2, 2, 2), seed=3)
        model.backlog(50, 0.1)
        return model.run(math.inf, jobs=50).ended_s

    assert ends() == ends()
