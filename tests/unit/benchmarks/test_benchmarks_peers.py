"""Peers are given the problem that it is: their configurations are its own, and reach its optimum."""

from __future__ import annotations

import importlib
import itertools

import numpy as np
import pytest

from benchmarks.contender import LongAnneals, Race, Restarts, StopsAtTarget
from benchmarks.contenders import PEERS, Target, ours, versions
from benchmarks.instance import Instance
from benchmarks.peers import mqlib
from patience import SLOWNESS
from peers import need
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.flips import cost_of

N = 10
CLUSTERS = "Swendsen-Wang"  # its clusters know no fields, and rarely find an optimum that has them


def random_instance(kind, locality):
    """Terms of one to ``locality`` variables, and a constant."""
    rng = np.random.default_rng(locality)
    terms = [list(ids) for k in range(locality + 1) for ids in itertools.combinations(range(N), k)]
    terms = [ids for ids in terms if len(ids) < 3 or rng.random() < 0.3]
    bounds = np.cumsum([0, *map(len, terms)])
    ids = np.array([i for term in terms for i in term], np.int64)
    cost_function = CostFunction(kind, rng.integers(-9, 10, len(terms)).astype(np.float64), bounds, ids)
    domain = [-1, 1] if kind.is_ising else [0, 1]
    everything = np.array(list(itertools.product(domain, repeat=N)), np.int8)
    return Instance("random", cost_function, float(evaluate(cost_function, everything).min()))


def searches(library, instance):
    """Every setting of a library that can run the instance, prepared."""
    need(library)
    module, _ = PEERS[library]
    for contender in importlib.import_module(module).CONTENDERS:
        if contender.can_run(instance):
            yield contender.setting, contender.prepare(instance)


@pytest.mark.filterwarnings("ignore")  # those of other libraries
@pytest.mark.parametrize("library", PEERS)
@pytest.mark.parametrize("kind", [ProblemType.ising, ProblemType.pubo], ids=str)
@pytest.mark.parametrize("locality", [2, 4])
def test_peers_find_the_optimum_of_small_problems(library, kind, locality):
    instance = random_instance(kind, locality)
    for setting, search in searches(library, instance):
        if isinstance(search, LongAnneals | Restarts):
            found = search.annealer.configurations(search.annealer.anneal(200, 20, 1))
            assert found.shape[1] == N
            assert len(found) >= 20
        elif isinstance(search, StopsAtTarget):
            found = search.until(instance.best_known, 5.0 * SLOWNESS, 1)
        else:
            race = Race(0.1)
            search(race, 1)
            assert race.best(instance) == instance.best_known, setting
            continue
        best = np.min(evaluate(instance.cost_function, found))
        assert best == instance.best_known or (setting == CLUSTERS and best > instance.best_known), setting


def test_targets_stop_at_the_optimum():
    instance = random_instance(ProblemType.pubo, 4)
    for contender in ours():
        if contender.can_run(instance):
            search = contender.prepare(instance)
            assert isinstance(search, Target)
            found = search.until(instance.best_known, 5.0 * SLOWNESS, 1)
            assert evaluate(instance.cost_function, found) == instance.best_known


def test_targets_for_pairs_are_not_given_larger_terms():
    larger, pairs = (random_instance(ProblemType.ising, locality) for locality in (4, 2))
    assert "qiosk toshiba.sbm.ising" in [c.name for c in ours() if c.can_run(pairs)]
    assert "qiosk toshiba.sbm.ising" not in [c.name for c in ours() if c.can_run(larger)]


@pytest.mark.parametrize("kind", [ProblemType.ising, ProblemType.pubo], ids=str)
def test_mqlib_maximizes_the_negative_cost(kind, tmp_path):
    """A cut counts edges between sides, a matrix both places of a pair: for every configuration."""
    problem = random_instance(kind, 2).problem
    mqlib.write(problem, tmp_path / "problem")
    (n, entries), *rows = [line.split() for line in (tmp_path / "problem").read_text().splitlines()]
    ends = np.array([[int(i) - 1, int(j) - 1] for i, j, _ in rows])
    weights = np.array([float(weight) for _, _, weight in rows])
    assert (int(n), int(entries)) == (N + problem.is_spin, len(rows))
    rng = np.random.default_rng(2)
    values, gains = [], []
    for _ in range(20):
        given = rng.choice([-1, 1] if problem.is_spin else [0, 1], int(n)).astype(np.int8)
        at = given[ends]
        if problem.is_spin:
            gains.append(2.0 * weights[at[:, 0] != at[:, 1]].sum())
        else:
            gains.append(((1.0 + (ends[:, 0] != ends[:, 1])) * weights * at[:, 0] * at[:, 1]).sum())
        values.append(cost_of(problem, mqlib.in_order(problem, given)))
    assert len({round(gain + value, 6) for gain, value in zip(gains, values, strict=True)}) == 1


def test_a_library_that_is_not_installed_has_no_version():
    assert versions(("no-such-distribution",)) is None
    assert versions(("numpy",)) == f"numpy {np.__version__}"


def test_a_heuristic_that_does_not_stop_is_ended(monkeypatch, tmp_path):
    program = tmp_path / "MQLib"
    program.write_text("#!/bin/sh\nwhile :; do :; done\n")
    program.chmod(0o755)
    monkeypatch.setattr(mqlib, "PROGRAM", str(program))
    monkeypatch.setattr(mqlib, "MOST_MORE", 0.2)
    instance = random_instance(ProblemType.pubo, 2)
    heuristic, race = mqlib.Heuristic(instance, "BURER2002"), Race(0.1)
    heuristic(race, 1)
    heuristic.folder.cleanup()
    assert race.best(instance) is None
