"""CPUs and memory are those that the process's control groups allow, however deep they are nested."""

from __future__ import annotations

import os
from datetime import UTC
from pathlib import Path

import pytest

from qiosk import machine
from qiosk.machine import SystemClock, available_memory, cpu_count, physical_memory

GIB = 1 << 30
VERSION_2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
VERSION_1 = (
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/memory rw,relatime shared:10 - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:11 - cgroup2 cgroup2 rw\n"
)


@pytest.fixture(autouse=True)
def _large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: range(64), raising=False)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 64 * GIB >> 12, "SC_PAGE_SIZE": 1 << 12}.__getitem__)


def tree(root: Path, groups: str, mounts: str, **limits: str) -> Path:
    """A root folder: /proc/self of the process, and files below /sys/fs/cgroup by path."""
    proc = root / "proc/self"
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text(groups)
    (proc / "mountinfo").write_text("22 1 0:21 / / rw,relatime - overlay overlay rw,lowerdir=/a\n" + mounts)
    for name, text in limits.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


def test_without_control_groups_the_whole_machine_counts(tmp_path):
    assert (cpu_count(tmp_path), physical_memory(tmp_path)) == (64, 64 * GIB)


def test_limits_of_version_2_count_from_the_own_group_up(tmp_path):
    limits = {
        "cpu.max": "max 100000",
        "memory.max": "max",
        "a/cpu.max": "350000 100000",
        "a/memory.max": str(8 * GIB),
        "a/b/cpu.max": "max 100000",
        "a/b/memory.max": str(16 * GIB),
        "a/b/c/cpu.max": "800000 100000",
        "a/other/cpu.max": "100000 100000",
        "a/other/memory.max": "4096",
    }
    root = tree(tmp_path, "0::/a/b/c\n", VERSION_2, **limits)
    assert (cpu_count(root), physical_memory(root)) == (4, 8 * GIB)


def test_memory_is_limited_where_processes_are_slowed_down(tmp_path):
    root = tree(tmp_path, "0::/a\n", VERSION_2, **{"a/memory.max": str(8 * GIB), "a/memory.high": str(6 * GIB)})
    assert physical_memory(root) == 6 * GIB


def test_memory_is_available_that_neither_the_machine_nor_a_group_uses(tmp_path):
    assert available_memory(tmp_path / "empty") == 0, "it is unknown"
    limits = {"a/memory.max": str(8 * GIB), "a/memory.current": str(6 * GIB), "memory.max": "max"}
    root = tree(tmp_path, "0::/a\n", VERSION_2, **limits)
    (root / "proc/meminfo").write_text("MemTotal:       67108864 kB\nMemAvailable:   4194304 kB\nBuffers: 1 kB\n")
    assert available_memory(root) == 2 * GIB
    (root / "sys/fs/cgroup/a/memory.current").write_text("1")
    assert available_memory(root) == 4 * GIB


def test_a_part_of_a_cpu_counts_as_one(tmp_path):
    assert cpu_count(tree(tmp_path, "0::/a\n", VERSION_2, **{"a/cpu.max": "5000 100000"})) == 1


def test_limits_of_version_1_have_a_hierarchy_each(tmp_path):
    limits = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/user/cpu.cfs_quota_us": "200000",
        "cpu,cpuacct/user/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/jobs/one/memory.limit_in_bytes": str(2 * GIB),
        "memory/user/memory.limit_in_bytes": "4096",
    }
    root = tree(tmp_path, "4:memory:/jobs/one\n2:cpu,cpuacct:/user/x\n1:name=systemd:/\n0::/\n", VERSION_1, **limits)
    assert (cpu_count(root), physical_memory(root)) == (2, 2 * GIB)


def test_a_container_may_see_its_own_group_as_the_mounted_folder(tmp_path):
    mount = "31 23 0:28 /docker/1234 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    limits = {"memory/memory.limit_in_bytes": str(4 * GIB), "memory/inner/memory.limit_in_bytes": str(GIB)}
    root = tree(tmp_path, "4:memory:/docker/1234/inner\n", mount, **limits)
    assert physical_memory(root) == GIB


@pytest.mark.parametrize("group", ["/../outside", "/docker/5678"])
def test_a_group_outside_of_the_mounted_folder_counts_as_that(tmp_path, group):
    mount = "31 23 0:28 /docker/1234 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    limits = {"memory.max": str(4 * GIB), "../outside/memory.max": "4096"}
    assert physical_memory(tree(tmp_path, f"0::{group}\n", mount, **limits)) == 4 * GIB


def test_fewer_cpus_to_run_on_than_the_groups_allow(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3}, raising=False)
    assert cpu_count(tree(tmp_path, "0::/\n", VERSION_2, **{"cpu.max": "400000 100000"})) == 1


def test_an_unknown_size_of_memory_is_none(monkeypatch):
    def unknown(_name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(machine.os, "sysconf", unknown)
    assert physical_memory() == 0


def test_the_clock_is_aware_and_does_not_go_back():
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0.001)
    assert clock.monotonic() >= before + 0.001
    assert clock.now().tzinfo is UTC
