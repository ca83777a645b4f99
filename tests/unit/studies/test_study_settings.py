"""The settings of studies: what is read, and how wrong ones are refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.errors import InvalidInput, InvalidTarget, InvalidValue, UnreadableInput, WrongType
from qiosk.studies.settings import Configuration, InstanceFiles, StudySettings, read_file, read_settings

LEAST: dict[str, Any] = {"name": "a", "instances": ["*.json"], "targets": [{"target": "tabu"}]}


def settings(text: str) -> StudySettings:
    return read_settings("s.toml", tomllib.loads(text))


def test_every_setting_is_read() -> None:
    found = settings(
        """
        name = "all of it"
        instances = ["G*.rud", { files = "m.lp", penalty = "auto", grid = 0.5, format = "lp", best_known = 3 }]
        seeds = [3, 1]
        timeout = 2
        target_gap = 0.01
        stop_at_target = true
        jobs_in_flight = 7
        tags = ["night"]
        [[targets]]
        target = "tabu"
        parameters = { restarts = 4 }
        grid = { sweeps = [10, 100] }
        [[targets]]
        target = "microsoft.tabu.cpu"
        label = "slow"
        parameters = { timeout = 9.0, sweeps = 5 }
        """
    )
    assert (found.name, found.tag, found.tags) == ("all of it", "study:all of it", ("night",))
    assert found.instances == (
        InstanceFiles(files="G*.rud"),
        InstanceFiles(files="m.lp", penalty="auto", grid=0.5, format="lp", best_known=3.0),
    )
    assert (found.seeds, found.target_gap, found.stop_at_target, found.jobs_in_flight) == ((3, 1), 0.01, True, 7)
    tabu = "microsoft.tabu.cpu"
    assert found.configurations == (
        Configuration(target=tabu, label="tabu sweeps=10", parameters={"timeout": 2.0, "restarts": 4, "sweeps": 10}),
        Configuration(target=tabu, label="tabu sweeps=100", parameters={"timeout": 2.0, "restarts": 4, "sweeps": 100}),
        Configuration(target=tabu, label="slow", parameters={"timeout": 9.0, "sweeps": 5}),
    )


def test_what_is_left_out_has_a_default() -> None:
    found = read_settings("s", {**LEAST, "targets": [{}, {"target": "1qbit.tabu"}]})
    assert (found.seeds, found.jobs_in_flight, found.target_gap, found.stop_at_target) == ((0,), 100, 0.0, False)
    targets = [each.target for each in found.configurations]
    assert targets == ["qiosk.auto", "1qbit.tabu"]
    assert read_settings("s", {**LEAST, "seeds": 3}).seeds == (0, 1, 2)
    assert read_settings("s", {**LEAST, "seeds": {"first": 7, "count": 2}}).seeds == (7, 8)


def target(name: str = "paralleltempering", **members: Any) -> dict[str, Any]:
    return {"targets": [{"target": name, **members}]}


def files(**members: Any) -> dict[str, Any]:
    return {"instances": [{"files": "a", **members}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "s: name is missing"),
        ({"name": 3}, "s: name: must be a text, found 3"),
        ({"name": "a/b"}, "s: name: must be 1 to 100 letters"),
        ({"name": " "}, "s: name: must be printable and not empty, found ' '"),
        ({"instances": "*.json"}, "s: instances: must be a list, found '*.json'"),
        ({"instances": [3]}, "s: instances[0]: must be a path, a pattern or a table, found 3"),
        ({"instances": [{}]}, "s: instances[0]: files is missing"),
        (
            files(form="lp"),
            "s: instances[0]: the key 'form' is unknown, did you mean format?",
        ),
        (
            files(penalty="much"),
            "s: instances[0]: penalty: must be a number, found 'much'",
        ),
        (files(grid=0), "s: instances[0]: grid: must be a finite number above 0, found 0"),
        ({"targets": {}}, "s: targets: must be a list, found {}"),
        ({"targets": [3]}, "s: targets[0]: must be a table, found 3"),
        ({"targets": [{"target": "tabuu"}]}, "s: targets[0]: target 'tabuu' is not offered, did you mean"),
        ({"targets": [{"target": "tabu", "sweeps": 3}]}, "s: targets[0]: the key 'sweeps' is unknown; keys are target"),
        (target("tabu", parameters={"sweep": 3}), "s: targets[0]: parameter `sweep`"),
        (
            target("tabu", parameters={"sweeps": 0}),
            "s: targets[0]: parameter `sweeps`: must be",
        ),
        (target("tabu", parameters={"sweeps": "x"}), "parameter `sweeps`: must be an integer, found"),
        (
            target("tabu", parameters={"seed": 3}),
            "s: targets[0]: parameters.seed: must not be given",
        ),
        (target(grid={"sweeps": 3}), "s: targets[0]: grid.sweeps: must be a list, found 3"),
        (target(grid={"sweeps": []}), "s: targets[0]: grid.sweeps: must have at least one value"),
        (
            target(grid={"sweeps": [3]}, parameters={"sweeps": 3}),
            "s: targets[0]: grid.sweeps: must not be given in parameters, too",
        ),
        ({"targets": [{}, {}]}, "s: targets: must be different, found auto twice"),
        (
            target(grid={"timeout": [1, 1.0]}),
            "must be different, found paralleltempering timeout=",
        ),
        (
            {"targets": [{"label": "a"}, {"label": "a", "target": "tabu"}]},
            "s: targets: labels must be different, found 'a'",
        ),
        (
            target(grid={"sweeps": [*range(1, 1002)], "replicas": [*range(1, 1002)]}),
            "must have at most 1000000",
        ),
        ({"seeds": "3"}, "s: seeds: must be a number of seeds, a list or a table, found '3'"),
        ({"seeds": True}, "s: seeds: must be a number of seeds, a list or a table, found True"),
        ({"seeds": {"first": 3}}, "s: seeds: count is missing"),
        ({"seeds": {"first": -1, "count": 3}}, "s: seeds: first: must be from 0 to"),
        ({"seeds": {"first": 1, "count": 0}}, "s: seeds: count: must be from 1 to 1000000, found 0"),
        ({"seeds": {"first": 1, "last": 2}}, "s: seeds: the key 'last' is unknown"),
        ({"seeds": 0}, "s: seeds: must be from 1 to 1000000, found 0"),
        ({"seeds": []}, "s: seeds: must have at least one seed"),
        ({"seeds": [1, 2, 1]}, "s: seeds: must be different, found 1 twice"),
        ({"seeds": [-1]}, "s: seeds[0]: must be from 0 to"),
        ({"timeout": 0}, "s: timeout: must be a finite number above 0, found 0"),
        ({"timeout": float("nan")}, "s: timeout: must be a finite number above 0, found nan"),
        ({"timeout": 10**400}, "s: timeout: must be a finite number above 0, found 1000"),
        (
            target(parameters={"timeout": 10**400}),
            "s: targets[0]: parameter `timeout`: must be finite",
        ),
        ({"target_gap": -0.1}, "s: target_gap: must be a finite number of at least 0, found -0.1"),
        ({"stop_at_target": "yes"}, "s: stop_at_target: must be true or false, found 'yes'"),
        (
            {"stop_at_target": True, "targets": [{"parameters": {"target_cost": 1}}]},
            "s: stop_at_target: must not be given together with a parameter target_cost",
        ),
        ({"jobs_in_flight": 0}, "s: jobs_in_flight: must be from 1 to 10000, found 0"),
        ({"tags": "night"}, "s: tags: must be a list, found 'night'"),
        ({"tags": [""]}, "s: tags[0]: must be printable and not empty, found ''"),
        ({"seed": 3}, "s: the key 'seed' is unknown, did you mean seeds?"),
    ],
)
def test_wrong_settings_are_refused_with_place_rule_and_value(change: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidValue, WrongType, InvalidTarget)) as caught:
        read_settings("s", {**LEAST, **change})
    assert message in caught.value.message


@pytest.mark.parametrize(
    "content", [b"name = ", b"\xff\xfe", b"name = 'a'\nname = 'b'", b"a = " + b"[" * 100_000, b"a = " + b"9" * 10_000]
)
def test_what_is_no_toml_is_refused_with_the_name_of_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(UnreadableInput, match=r"study\.toml: "):
        read_file(path)


KEYS = ("target", "label", "parameters", "grid", "files", "penalty", "best_known", "format", "sweeps", "timeout", "?")
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.dates(),
        st.sampled_from(["tabu", "auto", "sweeps", "a.json", 10**400, -(10**400)]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*LEAST, "seeds", "timeout", "target_gap", "tags", "x"]), VALUES))
def test_any_values_are_read_or_refused(change: dict[str, Any]) -> None:
    try:
        found = read_settings("fuzz", {**LEAST, **change})
    except (InvalidInput, InvalidTarget) as error:
        assert "fuzz: " in str(error)
    else:
        assert found.seeds
        assert len({each.key for each in found.configurations}) == len(found.configurations)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "study.toml"
    path.write_bytes(content)
    try:
        read_settings(str(path), read_file(path))
    except (InvalidInput, InvalidTarget) as error:
        assert str(path) in str(error)
