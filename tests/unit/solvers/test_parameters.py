"""Parameters of targets: what is accepted, what is refused and how it is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.errors import (
    InvalidInput,
    InvalidTarget,
    InvalidValue,
    MissingSection,
    ProviderNotFound,
    WrongType,
)
from qiosk.solvers.targets.catalogue import Catalogue, target, targets
from qiosk.solvers.targets.parameters import params_section, read_parameters, schedule

SA = target("microsoft.simulatedannealing.cpu").parameters
PT = target("microsoft.paralleltempering.cpu").parameters


def test_defaults_stand_for_what_is_not_given():
    values = read_parameters(SA, {"unknown": 1, "sweeps": None})
    assert values["sweeps"] == 10000
    assert values["restarts"] == 72
    assert values["number_of_solutions"] == 1
    assert values["beta_start"] is None
    assert values["timeout"] is None


def test_given_values_keep_their_meaning():
    values = read_parameters(SA, {"sweeps": np.int32(7), "beta_start": 0, "timeout": 3, "seed": -5})
    assert (values["sweeps"], values["beta_start"], values["timeout"], values["seed"]) == (7, 0.0, 3.0, -5)
    assert read_parameters(PT, {"all_betas": (2, 0.5)})["all_betas"] == [2.0, 0.5]


@pytest.mark.parametrize(
    ("given_values", "error", "message"),
    [
        ({"sweeps": 1.5}, WrongType, "AZQ103: parameter `sweeps`: must be an integer, found float 1.5"),
        ({"sweeps": True}, WrongType, "AZQ103: parameter `sweeps`: must be an integer, found bool True"),
        ({"sweeps": "9"}, WrongType, "AZQ103: parameter `sweeps`: must be an integer, found str '9'"),
        ({"restarts": 0}, InvalidValue, "AZQ107: parameter `restarts`: must be greater than 0, found 0"),
        ({"beta_start": "1"}, WrongType, "AZQ103: parameter `beta_start`: must be a number, found str '1'"),
        ({"beta_start": -1}, InvalidValue, "AZQ107: parameter `beta_start`: must be at least 0, found -1"),
        ({"beta_stop": 0}, InvalidValue, "AZQ107: parameter `beta_stop`: must be greater than 0, found 0"),
        ({"beta_stop": float("nan")}, InvalidValue, "must be greater than 0, found nan"),
        ({"number_of_solutions": 11}, InvalidValue, "must be 1 to 10, found 11"),
        ({"seed": 2**63}, InvalidValue, "parameter `seed`: must be a 64-bit integer"),
        ({"timeout": -1}, InvalidValue, "parameter `timeout`: must be at least 0, found -1"),
        ({"timeout": 10**400}, InvalidValue, "parameter `timeout`: must be in the range of a float"),
    ],
)
def test_bad_values_are_named(given_values, error, message):
    with pytest.raises(error) as caught:
        read_parameters(SA, given_values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("betas", "error"),
    [("x", WrongType), ([], InvalidValue), ([1, "2"], WrongType), ([1, -1.0], InvalidValue)],
)
def test_bad_ladders_are_named(betas, error):
    with pytest.raises(error, match="all_betas"):
        read_parameters(PT, {"all_betas": betas})


RISING = (schedule("beta", is_increasing=True, meaning=""),)
FALLING = (schedule("alpha", is_increasing=False, meaning=""),)


def test_schedules_are_read_as_plain_objects():
    assert read_parameters(RISING, {}) == {"beta": None}
    given_value = {"type": "Linear", "initial": 0, "final": np.int64(5), "comment": "ignored"}
    assert read_parameters(RISING, {"beta": given_value})["beta"] == {"type": "linear", "initial": 0.0, "final": 5.0}
    falling = {"type": "geometric", "initial": 2, "final": 0.5}
    assert read_parameters(FALLING, {"alpha": falling})["alpha"] == falling


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("linear", WrongType, "AZQ103: parameter `beta`: must be an object, found str 'linear'"),
        ([0, 5], WrongType, "parameter `beta`: must be an object"),
        ({"initial": 0, "final": 1}, InvalidValue, "AZQ107: parameter `beta`: must have `type`"),
        ({"type": "linear", "final": 1}, InvalidValue, "parameter `beta`: must have `initial`"),
        ({"type": 1, "initial": 0, "final": 1}, WrongType, "parameter `beta.type`: must be a string, found int 1"),
        ({"type": "cubic", "initial": 0, "final": 1}, InvalidValue, "must be linear or geometric, found 'cubic'"),
        ({"type": "linear", "initial": "0", "final": 1}, WrongType, "`beta.initial`: must be a number, found str '0'"),
        ({"type": "linear", "initial": -1, "final": 1}, InvalidValue, "`beta.initial`: must be at least 0, found -1"),
        (
            {"type": "linear", "initial": 0, "final": np.inf},
            InvalidValue,
            "`beta.final`: must be at least 0, found inf",
        ),
        (
            {"type": "geometric", "initial": 0, "final": 1},
            InvalidValue,
            "`beta.initial`: must be greater than 0, found",
        ),
        (
            {"type": "linear", "initial": 2, "final": 2},
            InvalidValue,
            "`beta.final`: must be greater than initial = 2, found 2",
        ),
    ],
)
def test_bad_schedules_are_named(value, error, message):
    with pytest.raises(error) as caught:
        read_parameters(RISING, {"beta": value})
    assert message in str(caught.value)


def test_a_falling_schedule_must_fall():
    with pytest.raises(InvalidValue, match="`alpha.final`: must be less than initial = 1, found 2"):
        read_parameters(FALLING, {"alpha": {"type": "linear", "initial": 1, "final": 2}})


@pytest.mark.parametrize("input_params", [None, {}, {"params": None}, {"params": [1]}, "x", [{}]])
def test_params_must_be_an_object(input_params):
    with pytest.raises(MissingSection, match="`params` must be an object"):
        params_section(input_params)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@pytest.mark.slow
@pytest.mark.parametrize("found", targets(), ids=lambda t: t.id)
@given(data=st.data())
def test_any_json_is_read_or_refused_in_our_own_words(found, data):
    names = st.sampled_from([p.name for p in found.parameters])
    try:
        values = read_parameters(found.parameters, data.draw(st.dictionaries(names, json_values, max_size=4)))
    except InvalidInput as error:
        assert error.azq in ("AZQ103", "AZQ107")
        assert "parameter `" in error.message
    else:
        assert set(values) == {p.name for p in found.parameters}


def test_targets_are_found_in_any_case():
    assert target("Microsoft.SimulatedAnnealing.CPU").id == "microsoft.simulatedannealing.cpu"
    with pytest.raises(InvalidTarget, match="target 'x' is not offered; targets are microsoft"):
        target("x")


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("microsoft.simulatedanealing.cpu", "microsoft.simulatedannealing.cpu"),
        ("microsoft.simulatedannealing.fpga", "microsoft.simulatedannealing.cpu"),
        ("Microsoft.ParallelTempering-ParameterFree", "microsoft.paralleltempering-parameterfree.cpu"),
        ("simulatedannealing.cpu", "microsoft.simulatedannealing.cpu"),
        ("microsft.tabu.cpu", "microsoft.tabu.cpu"),
        ("ParallelTempering", "microsoft.paralleltempering.cpu"),
    ],
)
def test_a_slip_in_a_target_is_told_with_the_nearest(slip, meant):
    with pytest.raises(InvalidTarget) as caught:
        target(slip)
    assert str(caught.value) == f"target {slip!r} is not offered, did you mean {meant!r}?"


def test_the_nearest_target_is_one_of_the_provider():
    with pytest.raises(InvalidTarget, match=r"by provider Microsoft, did you mean 'microsoft\.tabu\.cpu'\?"):
        Catalogue().check("Microsoft", "1qbit.tabu")
    with pytest.raises(InvalidTarget, match=r"by provider Microsoft; its targets are microsoft\."):
        Catalogue().check("Microsoft", "microsoft.nope.cpu")


def test_the_catalogue_knows_which_provider_offers_what():
    catalogue = Catalogue()
    catalogue.check("MICROSOFT", "microsoft.paralleltempering.cpu")
    with pytest.raises(ProviderNotFound, match="provider 'acme' is unknown"):
        catalogue.check("acme", "microsoft.paralleltempering.cpu")
    with pytest.raises(InvalidTarget, match="'acme.sa' is not offered by provider Microsoft"):
        catalogue.check("Microsoft", "acme.sa")
    assert {t.id for t in catalogue.targets()} == {t.id for t in targets()}
