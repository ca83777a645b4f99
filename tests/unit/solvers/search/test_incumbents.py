"""The best distinct configurations, and bytes of solver states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.errors import UnreadableCheckpoint
from qiosk.solvers import checkpoint
from qiosk.solvers.algorithms.simulated_annealing import AnnealingState
from qiosk.solvers.checkpoint import pack, unpack
from qiosk.solvers.parameter_free.rounds import RoundsState
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.counter import uniforms
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.version import __version__

offers = st.lists(st.tuples(st.integers(0, 15), st.integers(-3, 3)), max_size=30)


def bits(number):
    return np.array([(number >> i) & 1 for i in range(4)], np.int8)


@given(offers, st.integers(1, 5))
def test_incumbents_are_the_best_distinct_ones_offered(given_offers, capacity):
    cost = {number: number % 5 - 2 for number, _ in given_offers}
    found = Incumbents(capacity)
    for sweep, (number, _) in enumerate(given_offers):
        found.offer(bits(number), float(cost[number]), sweep)
    assert found.costs == sorted(map(float, cost.values()))[:capacity]
    kept = [x.tobytes() for x in found.configurations]
    assert len(set(kept)) == len(kept)


def test_improvements_are_new_bests_only():
    found = Incumbents(3)
    for sweep, cost in enumerate([5.0, 7.0, 5.0, 1.0, 3.0]):
        found.offer(bits(sweep), cost, sweep)
    assert [(i.sweep, i.cost) for i in found.improvements] == [(0, 5.0), (3, 1.0)]


def a_state():
    found = Incumbents(2)
    found.offer(bits(3), -1.5, 7)
    groups = [LaneGroup({"spins": np.arange(4, dtype=np.uint64), "rng": np.ones((2, 3), np.uint32)})]
    inner = AnnealingState(groups, found, 7, 99)
    return RoundsState(found, inner, 16, 32, np.array([0.1, 2.0]), round=3)


def test_a_state_survives_its_checkpoint():
    state = a_state()
    again = unpack(pack({"seed": 5, "state": state, "none": None}))
    assert again["seed"] == 5
    assert again["none"] is None
    assert again["state"].round == 3
    inner = again["state"].inner
    assert isinstance(inner, AnnealingState)
    np.testing.assert_array_equal(inner.groups[0].arrays["spins"], np.arange(4, dtype=np.uint64))
    assert inner.incumbents.costs == [-1.5]
    np.testing.assert_array_equal(inner.incumbents.configurations[0], bits(3))
    assert inner.incumbents.improvements == state.inner.incumbents.improvements


@pytest.mark.parametrize("writer", ["0.0.1", "99.0"])
def test_a_checkpoint_of_another_version_is_read_if_its_format_is_the_same(writer, monkeypatch, caplog):
    monkeypatch.setattr(checkpoint, "__version__", writer)
    data = pack({"seed": 5, "state": a_state()})
    monkeypatch.undo()
    assert unpack(data, without="state") == {"seed": 5}
    assert unpack(data)["state"].round == 3
    assert caplog.messages == [f"Qiosk {__version__} goes on from a checkpoint of Qiosk {writer}"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"VERSION": 99}, "format must be qiosk-checkpoint version 3, found qiosk-checkpoint version 99"),
        ({"FORMAT": "other"}, "format must be qiosk-checkpoint version 3, found other version 3"),
        ({"_to_tree": lambda *state: {"class": "RoundsState", "members": {"flux": {"scalar": 1}}}}, "flux"),
        ({"_to_tree": lambda *state: {"class": "Future", "members": {}}}, "class Future may not be part of"),
    ],
    ids=["version", "format", "member", "class"],
)
def test_a_checkpoint_of_another_version_is_refused_if_it_cannot_be_read(change, message, monkeypatch):
    for name, value in change.items():
        monkeypatch.setattr(checkpoint, name, value)
    monkeypatch.setattr(checkpoint, "__version__", "99.0")
    data = pack(a_state())
    monkeypatch.undo()
    with pytest.raises(
        UnreadableCheckpoint, match=rf"checkpoint of Qiosk 99\.0 by Qiosk .* cannot be read: .*{message}"
    ):
        unpack(data)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_no_checkpoint(data):
    with pytest.raises(UnreadableCheckpoint):
        unpack(data)


@given(st.integers(0, 5000), st.integers(0, 255))
def test_damaged_checkpoints_are_refused_or_read(position, value):
    data = bytearray(pack(a_state()))
    data[position % len(data)] = value
    try:
        unpack(bytes(data))
    except UnreadableCheckpoint as error:
        assert "checkpoint" in str(error)


def test_only_marked_classes_are_packed():
    @dataclass
    class Stranger:
        x: int

    with pytest.raises(UnreadableCheckpoint, match="Stranger may not be part of a checkpoint"):
        pack(Stranger(1))


def test_counter_draws_are_uniform_and_streams_differ():
    draws = uniforms((1, 2), (200, 500))
    assert abs(draws.mean() - 0.5) < 0.005
    assert draws.min() > 0.0
    assert draws.max() < 1.0
    counts = np.histogram(draws, 20, (0, 1))[0]
    assert ((counts - 5000) ** 2 / 5000).sum() < 50  # chi-squared, 19 degrees of freedom
    assert not np.array_equal(draws[0], uniforms((1, 3), (200, 500))[0])
    assert abs(np.corrcoef(draws.ravel(), uniforms((2, 2), (200, 500)).ravel())[0, 1]) < 0.02
