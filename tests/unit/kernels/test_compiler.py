"""Compiled code is kept on disk, found again, and never stale."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features

from patience import HANG_S
from qiosk.kernels import compiler
from qiosk.kernels.announcements import COMPILING, announced_to

# Uses kernels and targets by their names once, and prints what it found and how many compilations that took.
SCRIPT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
names = sys.argv[2].split(",")
if "no-simd" in names:
    sys.modules["qiosk.kernels.simd"] = None
import numba.core.event as event
import numpy as np
from problems import random_problem, sliceable_problem
from qiosk.kernels.compiler import simd_available
from qiosk.solvers.solve import solve
from qiosk.solvers.samplers.planner import KERNELS, plan
from strategies import cost_function

digest = hashlib.sha256()

def sweep(name):
    kind, locality = ("pubo_grouped", 3) if name.startswith("klocal") else ("ising", 2)
    problem = random_problem(kind, 5, locality=locality, seed=1)
    if name == "bit-sliced":
        problem = sliceable_problem("ising", 5, most=4, seed=1)
    sampler = plan(problem, replicas=2 if name in ("cached", "dense") else 64, kernel=name)
    group = sampler.start((1,))
    sampler.sweep(group, np.array([0.1, 1.0, np.inf]))
    sampler.sweep_ladder(group, np.linspace(0, 1, sampler.lanes), 2)
    for array in (*group.arrays.values(), sampler.costs(group)):
        digest.update(np.ascontiguousarray(array).tobytes())

def search(target, **effort):
    rng = np.random.default_rng(1)
    pairs = [(float(rng.normal()), [i, j]) for i in range(12) for j in range(i)]
    result = solve(cost_function("ising", pairs), target, seed=1, threads=1, number_of_solutions=5, **effort)
    found = [(solution.cost, solution.values.tolist()) for solution in result.solutions]
    digest.update(repr((found, [(point.sweep, point.cost) for point in result.trace])).encode())

SEARCHES = {
    "tabu": lambda: search("microsoft.tabu.cpu", sweeps=100, restarts=2),
    "diffusion": lambda: search("microsoft.substochasticmontecarlo.cpu", step_limit=200, target_population=8),
    "world-lines": lambda: search("microsoft.qmc.cpu", sweeps=20, trotter_number=8),
    "bifurcation": lambda: search("toshiba.sbm.ising", steps=50),
}
with event.install_recorder("numba:compile") as recorder:
    for name in names:
        if name in SEARCHES:
            SEARCHES[name]()
        elif name != "no-simd":
            sweep(name)
print(simd_available(), len(recorder.buffer), digest.hexdigest())
"""
NAMES = "bit-sliced,packed-int8,packed-float32,cached,dense,klocal"
OTHERS = "packed-int16,packed-float64,klocal-int16,klocal-float64,tabu,diffusion,world-lines,bifurcation"
"""Slow to compile: descents come with the last four."""


def run(names=NAMES, **environment):
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[2]), names]
    env = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")} | environment
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=HANG_S)
    simd, compilations, digest = done.stdout.split()
    assert done.stderr.count("compiling kernels") == (int(compilations) > 0)
    return simd == "True", int(compilations), digest


@cache
def uncompiled(names=NAMES):
    """What the uncompiled reference kernels compute."""
    simd, compilations, digest = run(names, NUMBA_DISABLE_JIT="1")
    assert (simd, compilations) == (False, 0)
    return digest


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """A folder that one process has filled, and what that process computed."""
    folder = tmp_path_factory.mktemp("cache")
    return folder, run(NUMBA_CACHE_DIR=str(folder))


@pytest.mark.slow
def test_a_second_process_compiles_nothing(native):
    folder, (simd, compilations, digest) = native
    assert simd
    assert compilations > 0
    assert run(NUMBA_CACHE_DIR=str(folder)) == (True, 0, digest)


@pytest.mark.slow
def test_processes_that_begin_at_once_find_the_same(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: run("packed-int16", NUMBA_CACHE_DIR=str(tmp_path)), range(2)))
    assert found[0][2] == found[1][2] == uncompiled("packed-int16")
    assert not list(tmp_path.rglob("*.lock"))


GENERIC = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
AVX2 = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
needs_avx2 = pytest.mark.skipif(not get_host_cpu_features().get("avx2"), reason="a processor without AVX2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "environment", "simd"),
    [
        pytest.param(NAMES, GENERIC, True, id="generic", marks=pytest.mark.long),
        pytest.param(OTHERS, GENERIC, True, id="generic, others", marks=pytest.mark.long),
        pytest.param("bit-sliced,packed-int8,packed-int16,klocal", AVX2, True, id="AVX2", marks=needs_avx2),
        pytest.param("no-simd,packed-int8,cached,klocal", {}, False, id="without the SIMD interface"),
    ],
)
def test_other_machine_code_gives_the_results_of_uncompiled_reference_kernels(names, environment, simd):
    found, _, digest = run(names, **environment)  # in the user's cache, which keeps the code of every processor apart
    assert found == simd
    assert digest == uncompiled(names)


@pytest.mark.slow
def test_uncompiled_twins_give_identical_results(native):
    assert native[1][2] == uncompiled()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert run("cached", NUMBA_CACHE_DIR=str(blocked))[1] > 0


@pytest.mark.slow
def test_a_damaged_file_is_written_anew(native):
    folder, (_, _, digest) = native
    damaged = list(folder.rglob("cached_sweeps*.bin"))
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[:100])
    simd, compilations, again = run(NUMBA_CACHE_DIR=str(folder))
    assert simd
    assert compilations > 0
    assert again == digest
    assert all(path.stat().st_size > 100 for path in damaged)


def test_the_folder_depends_on_the_sources():
    assert (
        Path(compiler.KernelCache(test_the_folder_depends_on_the_sources).cache_path).name == compiler.source_digest()
    )


def unknown_user(_uid: int) -> None:
    raise KeyError("uid not found")


@pytest.mark.parametrize("home", [None, "/proc/nowhere"], ids=["unknown", "not writable"])
def test_without_a_home_of_the_user_the_folder_is_in_qiosks(monkeypatch, tmp_path, home):
    monkeypatch.setattr(compiler.config, "CACHE_DIR", "")
    for name in ("XDG_CACHE_HOME", "QIOSK_CACHE_DIR", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown_user)  # of a container that runs as any user
    if home is not None:
        monkeypatch.setenv("HOME", home)
        monkeypatch.setattr(os, "access", lambda path, _: not str(path).startswith("/proc"))
    monkeypatch.setenv("QIOSK_HOME", str(tmp_path))
    assert compiler.cache_folder() == tmp_path / "cache" / "kernels"
    monkeypatch.delenv("QIOSK_HOME")
    kept_nowhere = compiler.cache_folder()
    with pytest.raises(OSError):
        kept_nowhere.mkdir(parents=True)
    monkeypatch.setenv("QIOSK_CACHE_DIR", str(tmp_path / "chosen"))
    assert compiler.cache_folder() == tmp_path / "chosen" / "kernels"


def test_the_folder_is_the_users_own_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("QIOSK_CACHE_DIR", raising=False)
    monkeypatch.setattr(compiler.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiler.cache_folder() == tmp_path / "qiosk" / "kernels"
    monkeypatch.setattr(compiler.config, "CACHE_DIR", str(tmp_path / "numba"))
    assert compiler.cache_folder() == tmp_path / "numba" / "qiosk-kernels"


def test_folders_unused_for_a_month_go_when_a_new_one_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(compiler.config, "CACHE_DIR", str(tmp_path))
    folders = tmp_path / "qiosk-kernels"
    ages = {"a" * 20: 31, "b" * 20: 29, "notes": 400, "unused-" + "c" * 20: 400}
    for name, days in ages.items():
        (folders / name).mkdir(parents=True)
        (folders / name / "kernel.bin").write_bytes(b"code")
        os.utime(folders / name, times=(time.time() - days * 86_400,) * 2)
    assert compiler.kernel(adder(9))(1) == 10
    left = {path.name for path in folders.iterdir()}
    assert left == {"b" * 20, "notes", compiler.source_digest()}


def test_folders_in_use_are_marked_once_a_day(tmp_path):
    folder = tmp_path / "folder"
    compiler.mark_as_used(folder)  # there is none yet
    folder.mkdir()
    for age, is_marked in ((3600, False), (90_000, True)):
        before = time.time() - age
        os.utime(folder, times=(before, before))
        compiler.mark_as_used.__wrapped__(folder)
        assert (folder.stat().st_mtime > before + 60) == is_marked


def test_many_processes_may_remove_unused_folders_at_once(tmp_path):
    for k in range(40):
        folder = tmp_path / f"{k:020x}"
        folder.mkdir()
        (folder / "kernel.bin").write_bytes(b"code")
        os.utime(folder, times=(0, 0))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: compiler.remove_unused(tmp_path, keep=f"{7:020x}"), range(8)))
    assert [path.name for path in tmp_path.iterdir()] == [f"{7:020x}"]


def adder(step):
    def add(x):
        return x + step

    return add


def test_constants_of_a_closure_are_part_of_its_name(monkeypatch, tmp_path):
    monkeypatch.setattr(compiler.config, "CACHE_DIR", str(tmp_path))
    assert [compiler.kernel(adder(step))(1) for step in (1, 2, np.int64(3))] == [2, 3, 4]
    assert len(list(tmp_path.rglob("adder.add-*.bin"))) == 3
    assert [compiler.kernel(adder(step))(1) for step in (1, 2, np.int64(3))] == [2, 3, 4]


# Two kernels of a name, one of which calls the other; the steps are closed over.
CLOSURES = """
import sys
import numpy as np
from qiosk.kernels.compiler import kernel

def searched(step):
    @kernel
    def walk(x):
        total = 0
        for k in range(x.size):
            for j in range(x.size):
                x[k] = (x[k] * step + x[j]) % 1009
                total += x[k] // (j + step)
        return total

    @kernel
    def walk_twice(x):
        return walk(x) + walk(x)

    return walk_twice

print(*(searched(int(step))(np.arange(9)) for step in sys.argv[1:]))
"""


def test_kernels_of_one_name_that_other_processes_compiled_stay_apart(tmp_path):
    def found(*steps):
        env = os.environ | {"QIOSK_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", CLOSURES, *steps]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=HANG_S)
        return done.stdout.split()

    first, second = found("3"), found("7")
    assert first != second
    assert found("3", "7") == first + second


def test_one_line_says_that_kernels_are_compiled_and_none_that_they_are_there(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(compiler.config, "CACHE_DIR", str(tmp_path))
    assert [compiler.kernel(adder(step))(1) for step in (1, 2)] == [2, 3]
    folder = tmp_path / "qiosk-kernels" / compiler.source_digest()
    assert [record.getMessage() for record in caplog.records] == [
        f"compiling kernels; they are kept in {folder} for later runs"
    ]
    compiler.log_compiling.cache_clear()
    assert compiler.kernel(adder(2))(1) == 3
    assert len(caplog.records) == 1


def test_listeners_are_told_of_every_kernel_that_is_compiled_and_of_none_that_is_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(compiler.config, "CACHE_DIR", str(tmp_path))
    first, second = [], []
    with announced_to(first.append):
        assert compiler.kernel(adder(1))(1) == 2
        with announced_to(second.append):
            assert compiler.kernel(adder(2))(1) == 3
            assert compiler.kernel(adder(1))(1) == 2
    assert compiler.kernel(adder(3))(1) == 4
    assert (first, second) == ([COMPILING, COMPILING], [COMPILING])


def test_a_closure_that_has_no_name_is_refused():
    with pytest.raises(TypeError, match="closure variable step is a list"):
        compiler.kernel(adder([1]))
