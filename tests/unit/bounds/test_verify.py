"""The checker confirms what is proved and refuses what was tampered with; it knows nothing of the rest."""

from __future__ import annotations

import ast
import io
import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from patience import HANG_S
from qiosk.bounds import bound, verify
from qiosk.bounds.choice import Bounder
from qiosk.cli.app import app
from qiosk.errors import InvalidValue
from qiosk.formats.files import write_file
from qiosk.model.compile import compile_problem
from qiosk.modeling import Model, total
from qiosk.solvers.solve import solve
from strategies import cost_function

pytestmark = pytest.mark.slow

CHECKER = Path(verify.__file__)


def test_the_checker_stands_alone():
    assert len(CHECKER.read_text().splitlines()) <= 200
    tree = ast.parse(CHECKER.read_text())
    names = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    names |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names - {"numpy"} <= set(sys.stdlib_module_names)


def torus(size, kind="ising", seed=1):
    rng = np.random.default_rng(seed)
    terms = [
        (
            float(rng.integers(1, 9) * rng.choice([-1, 1])),
            sorted([size * x + y, size * ((x + a) % size) + (y + b) % size]),
        )
        for x in range(size)
        for y in range(size)
        for a, b in ((0, 1), (1, 0))
    ]
    return cost_function(kind, [*terms, (0.5, [0]), (3.0, [])])


def cubic(kind, n=9, seed=2):
    rng = np.random.default_rng(seed)
    sets = list(itertools.combinations(range(n), 3))[::4]
    return cost_function(
        kind, [*((float(rng.integers(-9, 10)), list(ids)) for ids in sets), (1.0, [0, 1]), (-2.0, [3])]
    )


def dense(n, seed=3):
    rng = np.random.default_rng(seed)
    pairs = itertools.combinations(range(n), 2)
    return cost_function("ising", [(float(rng.integers(-50, 51)), list(ids)) for ids in pairs])


def repeated(kind, count=3):
    """Terms that are given several times, and coefficients without a common unit."""
    rng = np.random.default_rng(5)
    once = [(float(c), [x, (x + a) % 12]) for x in range(12) for a, c in zip((1, 3), rng.normal(size=2), strict=True)]
    parts = [[(c * float(p), ids) for c, ids in once] for p in rng.random(count)]
    return cost_function(kind, [*itertools.chain(*parts), (0.1, [0]), (0.2, [0]), (0.7, [0])])


def grouped(kind):
    """Squares that multiply out to couplings, and a negative one."""
    members = [(float(w), i) for i, w in enumerate([1, 2, 3, 4, 5, 6])]
    groups = [(2.0, [*members, (-7.0, None)]), (0.5, [(1.0, 0), (-3.0, 7)]), (-0.25, [(1.0, 1), (1.0, 2)])]
    return cost_function(f"{kind}_grouped", [(-1.0, [0, 7]), (1.5, [3])], groups)


CASES = {
    "trivial": torus(4),
    "elimination": torus(4),
    "cycles": torus(5),
    "sdp": torus(5),
    "sdp-triangles": dense(16),
    "diffusion": cubic("ising"),
    "cycles of bits": torus(5, "pubo"),
    "sdp of bits": torus(5, "pubo"),
    "elimination of bits": cubic("pubo"),
    "diffusion of bits": cubic("pubo"),
    "mini-buckets": cubic("ising"),
    "mini-buckets of bits": cubic("pubo"),
    "trivial of bits": torus(4, "pubo"),
    **{
        f"{method} of {kind}, repeated": repeated(kind)
        for method, kind in itertools.product(["cycles", "sdp", "diffusion", "elimination"], ["ising", "pubo"])
    },
    **{
        f"{method} of {kind}, squares": grouped(kind)
        for method, kind in itertools.product(["sdp", "elimination"], ["ising", "pubo"])
    },
}


@pytest.fixture
def case(request, tmp_path):
    """Files of a problem, a result and a receipt, and the arrays of that."""
    function, method = CASES[request.param], request.param.split()[0]
    bounder = Bounder(compile_problem(function), method)
    while not bounder.is_done:
        bounder.step()
    result = solve(function, "microsoft.simulatedannealing.cpu", sweeps=20, restarts=2, seed=1, bound=method)
    files = [tmp_path / name for name in ("problem.json.gz", "result.json", "receipt.npz")]
    files[0].write_bytes(write_file(str(files[0]), function))
    files[1].write_text(result.to_json())
    files[2].write_bytes(bounder.best.receipt())
    return files, dict(np.load(io.BytesIO(bounder.best.receipt()))), bounder.best


def check(files):
    return subprocess.run(
        [sys.executable, "-I", str(CHECKER), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_what_is_proved_is_confirmed(case):
    files, _, best = case
    done = check(files)
    assert done.returncode == 0, done.stderr
    _, said, _ = done.stdout.splitlines()
    name, value, *method = said.replace(",", "").split()
    assert (name, method) == ("bound", ["proved", "by", best.method])
    assert float(value) == pytest.approx(best.value, rel=1e-12)
    assert "computed again" in check(files[:2]).stdout


def raised_values(arrays, name):
    found = dict(arrays)
    found[name] = arrays[name].copy()
    return found


def tampered(arrays):
    """Receipts that claim more than they prove."""
    changes = {"cycle_values": 2**20, "y": None, "multipliers": -(2.0**-30), "own": 2**40, "tables": 2**40}
    for name, change in changes.items():
        if name in arrays:
            found = raised_values(arrays, name)
            if change is None:
                found[name][0] *= 0.5
            else:
                found[name].flat[0] += change
            yield found
    if "cycle_rows" in arrays:
        for name, step in (("cycle_rows", 1), ("cycle_cols", -1)):
            found = raised_values(arrays, name)
            found[name][0] += step
            yield found
    if "table_sizes" in arrays:
        wider = np.array([-(2.0**40), 0.0] * 2)  # read as one table it would be two
        yield arrays | {"own": arrays["own"].repeat(2, axis=1) + np.resize([-(2**40), 2**40], 4)}
        yield forged(arrays, wider)
    yield arrays | {"unit": np.array("-1")}
    if "triangles" in arrays:
        found = raised_values(arrays, "triangles")
        found["triangles"][0, 2] = -1
        yield found
    if "order" in arrays:
        found = raised_values(arrays, "order")
        found["order"][0] = found["order"][1]
        yield found
    yield arrays | {"method": np.array("guess")}


def forged(arrays, wider):
    """With a table of two variables of which only one is named."""
    variables = arrays["table_variables"].tolist()
    return arrays | {
        "table_sizes": np.append(arrays["table_sizes"], 2),
        "table_variables": np.array([*variables, variables[0]]),
        "tables": np.append(arrays["tables"], wider.astype(np.int64)),
    }


@pytest.mark.parametrize("case", [name for name in CASES if not re.search("trivial|repeated", name)], indirect=True)
def test_receipts_that_were_tampered_with_are_refused(case):
    files, arrays, best = case
    assert ("multipliers" in arrays) == (best.method == "sdp-triangles")
    count = 0
    for changed in tampered(arrays):
        np.savez(files[2], **changed)
        done = check(files)
        assert done.returncode == 1, done.stdout
        assert "refused" in done.stderr
        count += 1
    assert count >= 2


def changed_at_random(arrays, rng):
    """With some entries of one array changed, left out or repeated."""
    name = rng.choice(sorted(set(arrays) - {"method", "unit", "level"}))
    found = np.atleast_1d(arrays[name]).copy()
    kind = rng.integers(4)
    if kind == 0 or not found.size:
        found = found[: rng.integers(len(found) + 1)]
    elif kind == 1:
        found = found[rng.integers(0, len(found), len(found) + rng.integers(3))]
    else:
        where = rng.integers(0, found.size, 1 + rng.integers(3))
        steps = rng.choice([-1, 1, 2, -7, 2**20, 2**40, -(2**33)], len(where))
        found.flat[where] += (steps * 2.0 ** -rng.integers(0, 30) if found.dtype.kind == "f" else steps).astype(
            found.dtype
        )
    return arrays | {name: found.reshape(()) if found.size == 1 and arrays[name].ndim == 0 else found}


def small(kind, method):
    if method in ("diffusion", "mini-buckets"):
        return cubic(kind)
    rng = np.random.default_rng(9)
    sets = list(itertools.combinations(range(7), 2))
    return cost_function(kind, [*((float(rng.integers(-9, 10)), list(ids)) for ids in sets), (1.0, [3]), (2.0, [])])


@pytest.mark.parametrize("kind", ["ising", "pubo"])
@pytest.mark.parametrize("method", ["elimination", "cycles", "sdp", "sdp-triangles", "diffusion", "mini-buckets"])
def test_no_receipt_proves_more_than_the_least_cost(kind, method):
    function = small(kind, method)
    bounder = Bounder(compile_problem(function), method)
    while not bounder.is_done:
        bounder.step()
    arrays = dict(np.load(io.BytesIO(bounder.best.receipt())))
    least = bound(function, "elimination").exact
    problem = verify.Problem(json.loads(write_file("problem.json", function))["cost_function"])
    assert verify.Receipt(problem, arrays).bound == bounder.best.exact <= least
    rng, proved = np.random.default_rng(1), 0
    with np.errstate(all="ignore"):
        for _ in range(500):
            try:
                found = verify.Receipt(problem, changed_at_random(arrays, rng)).bound
            except (SystemExit, ArithmeticError, LookupError, TypeError, ValueError):
                continue
            assert found <= least
            proved += 1
    assert 0 < proved < 500


@pytest.mark.parametrize("case", ["sdp"], indirect=True)
def test_malformed_files_are_refused(case):
    files, arrays, _ = case
    for name in ("method", "unit", "y"):
        np.savez(files[2], **{other: value for other, value in arrays.items() if other != name})
        assert f"refused        KeyError: '{name}" in check(files).stderr
        np.savez(files[2], **arrays | {name: np.array("?")})
        done = check(files)
        assert (done.returncode, done.stderr.partition(" ")[0]) == (1, "refused")
    for number, content in itertools.product(range(3), (b"", b"[]", b"{}", b"PK\x03\x04", b"\x1f\x8b")):
        before = files[number].read_bytes()
        files[number].write_bytes(content)
        done = check(files)
        assert (done.returncode, done.stderr.partition(" ")[0]) == (1, "refused")
        files[number].write_bytes(before)


@pytest.mark.parametrize("case", ["sdp", "trivial of bits"], indirect=True)
def test_results_that_claim_too_much_are_refused(case):
    files, _, _ = case
    text = files[1].read_text()
    document = json.loads(text)
    cost, claimed = document["cost"], document["bound"]["value"]
    for old, new, why in (
        (f'"cost": {cost!r}', f'"cost": {cost - 1!r}', "the cost is"),
        (f'"value":{claimed!r}', f'"value":{claimed + 1!r}', "is not proved"),
    ):
        assert old in text
        files[1].write_text(text.replace(old, new))
        done = check(files)
        assert done.returncode == 1
        assert why in done.stderr
    files[1].write_text(text.replace('"0": ', '"99999": '))
    assert "different variables" in check(files).stderr


def test_a_bound_without_a_certificate_has_no_receipt():
    result = solve(cost_function("ising", [(1.0, [0, 1])]), seed=1)
    with pytest.raises(InvalidValue, match="receipt: a bound by enumeration has none"):
        result.lower_bound.receipt()
    assert bound({(0, 1): 1}).receipt()[:2] == b"PK"


@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_a_result_of_an_enumeration_makes_a_receipt_of_another_method(tmp_path, kind):
    function = cost_function(kind, [(0.1, [0, 1]), (-0.3, [1, 2]), (0.2, [0, 2]), (0.7, [])])
    result = solve(function, seed=1)
    assert result.bound_method == "enumeration"
    files = [tmp_path / name for name in ("problem.json", "result.json", "receipt.npz")]
    files[0].write_bytes(write_file(str(files[0]), function))
    files[1].write_text(result.to_json())
    files[2].write_bytes(result.receipt())
    done = check(files)
    assert (done.returncode, done.stderr) == (0, "")
    assert "optimal        yes" in done.stdout
    other = replace(result, lower_bound=replace(result.lower_bound, value=result.bound + 1.0))
    assert other.receipt() is None
    assert replace(result, lower_bound=replace(result.lower_bound, method="branch")).receipt() is None
    assert replace(result, lower_bound=None).receipt() is None


def knapsack(n):
    rng = np.random.default_rng(n)
    model = Model("knapsack")
    take = list(model.bits("take", range(n)).values())
    model.add(total(int(w) * bit for w, bit in zip(rng.integers(1, 9, n), take, strict=True)) <= 2 * n, "capacity")
    model.maximize(total(int(v) * bit for v, bit in zip(rng.integers(1, 30, n), take, strict=True)))
    return model


@pytest.mark.parametrize("n", [8, 30])
@pytest.mark.parametrize("method", ["elimination", "sdp"])
def test_the_result_of_a_model_is_confirmed(tmp_path, n, method):
    """Also where all configurations are tried, so that the search has computed no bound of its own."""
    problem = knapsack(n).problem()
    result = solve(problem, timeout=1.0, seed=1, bound=method)
    found = result.lower_bound if result.lower_bound.has_receipt else bound(problem, "elimination")
    assert result.lower_bound.has_receipt == (n > 8)
    files = [tmp_path / name for name in ("problem.json", "result.json", "receipt.npz")]
    files[0].write_bytes(write_file(str(files[0]), problem.cost_function()))
    files[1].write_text(result.to_json())
    files[2].write_bytes(found.receipt())
    done = check(files)
    assert done.returncode == 0, done.stderr
    assert f"proved by {found.method}" in done.stdout


def solved_and_verified(problem, tmp_path, *options, reading=()):
    """What both commands say about a file; the second one is None where the first wrote no receipt."""
    run, files = CliRunner().invoke, [str(tmp_path / name) for name in ("result.json", "receipt.npz")]
    done = run(app, ["solve", problem, *reading, *options, "--seed", "1", "-o", files[0], "--receipt", files[1]])
    if not Path(files[1]).exists():
        return done, None
    return done, run(app, ["verify", problem, *files, *reading])


@pytest.mark.parametrize("n", [8, 30])
def test_the_command_writes_a_receipt_of_a_model(tmp_path, n):
    file = tmp_path / "knapsack.json"
    file.write_bytes(write_file(str(file), knapsack(n).problem().cost_function()))
    done, verified = solved_and_verified(str(file), tmp_path, "--bound", "auto", "--timeout", "2")
    assert done.exit_code == 0, done.output
    assert verified.exit_code == 0, verified.output


def test_a_receipt_of_a_file_with_constraints_is_verified_with_its_options(tmp_path):
    file = tmp_path / "small.lp"
    file.write_text("maximize\n 3 x + 2 y + z\nsubject to\n c: x + y + z <= 2\nbinary\n x y z\nend\n")
    done, verified = solved_and_verified(str(file), tmp_path, reading=("--penalty", "auto"))
    assert done.exit_code == 0, done.output
    assert verified.exit_code == 0, verified.output


@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_an_enumeration_and_a_problem_that_presolve_solves_have_a_receipt(tmp_path, kind):
    few = cost_function(kind, [(0.1, [0, 1]), (-0.3, [1, 2]), (0.2, [0, 2]), (0.7, [])])
    chain = cost_function(kind, [(float(1 - 2 * (i % 3 == 0)), [i, i + 1]) for i in range(300)])
    for name, function, options in (("few", few, ()), ("chain", chain, ("-p", "presolve=true", "--timeout", "5"))):
        folder = tmp_path / name
        folder.mkdir()
        file = folder / "problem.json"
        file.write_bytes(write_file(str(file), function))
        done, verified = solved_and_verified(str(file), folder, *options)
        assert done.exit_code == 0, done.output
        assert json.loads((folder / "result.json").read_text())["bound"]["method"] == "enumeration"
        assert verified.exit_code == 0, verified.output


def test_a_receipt_that_would_prove_less_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("qiosk.cli.solving.RECEIPT_S", 0.0)  # the trivial bound, then
    file = tmp_path / "problem.json"
    file.write_bytes(write_file(str(file), cost_function("ising", [(1.0, [0, 1]), (1.0, [1, 2]), (1.0, [0, 2])])))
    done, verified = solved_and_verified(str(file), tmp_path)
    assert (done.exit_code, verified) == (2, None)
    said = " ".join(done.output.split())
    assert "receipt: there is none for the bound -1.0 by enumeration" in said
    assert "trivial, which has one, proves -3.0" in said


def test_commands_solve_with_a_gap_and_verify(tmp_path):
    files = [str(tmp_path / name) for name in ("problem.json", "result.json", "receipt.npz")]
    Path(files[0]).write_bytes(write_file(files[0], torus(4)))
    run = CliRunner().invoke
    written = ["--receipt", files[2], "-o", files[1]]
    done = run(app, ["solve", files[0], "--gap", "0", "--seed", "1", *written])
    assert done.exit_code == 0, done.output
    assert "gap              0, so it is optimal" in done.output
    assert run(app, ["verify", *files]).exit_code == 0
    document = json.loads(Path(files[1]).read_text())
    document["solutions"][0]["cost"] -= 1.0
    Path(files[1]).write_text(json.dumps(document))
    assert run(app, ["verify", *files]).exit_code == 1
    qubo = tmp_path / "problem.qubo"
    qubo.write_bytes(write_file(str(qubo), cost_function("pubo", [(-1.0, [0]), (2.0, [0, 1])])))
    done = run(app, ["solve", str(qubo), "--bound", "auto", *written])
    assert done.exit_code == 0, done.output
    assert run(app, ["verify", str(qubo), *files[1:]]).exit_code == 0
    assert run(app, ["solve", files[0], "--receipt", files[2], "--bound", "guess"]).exit_code == 2
