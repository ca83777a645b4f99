"""Problems on the disk of a node: read once, bounded, and never in the way of a job."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from qiosk.adapters.blobs.local import LocalStorage
from qiosk.errors import BlobNotFound
from qiosk.service.jobs.job import BlobRef
from qiosk.supervisor.processes import input_cache as module
from qiosk.supervisor.processes.input_cache import MAPPED_FROM, InputCache
from qiosk.testing import MemoryBlobStore

REF = BlobRef("c", "inputData")
LARGE = bytes(range(256)) * (MAPPED_FROM // 256 + 1)


class Counted:
    """A store that counts how often a blob is read."""

    def __init__(self, blobs=None) -> None:
        self.blobs = blobs or MemoryBlobStore()
        self.reads = 0

    def put(self, data: bytes, ref: BlobRef = REF) -> None:
        self.blobs.put(ref, data)

    def properties(self, ref: BlobRef):
        return self.blobs.properties(ref)

    def open(self, ref: BlobRef):
        self.reads += 1
        time.sleep(0.01)
        return self.blobs.open(ref)


def files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if not file.name.startswith("lock-")]


@pytest.mark.parametrize("data", [b"[1]", LARGE], ids=["small", "mapped"])
def test_a_blob_is_read_once_and_again_when_it_has_changed(tmp_path, data) -> None:
    blobs, cache = Counted(), InputCache(tmp_path)
    blobs.put(data)
    for _ in range(3):
        assert bytes(cache.read("w", blobs, REF)) == data
    assert blobs.reads == 1
    blobs.put(data + b"+")
    assert bytes(cache.read("w", blobs, REF)) == data + b"+"
    assert blobs.reads == 2


def test_workspaces_share_no_blob(tmp_path) -> None:
    one, two, cache = Counted(), Counted(), InputCache(tmp_path)
    one.put(b"1")
    two.put(b"1")
    assert cache.read("one", one, REF) == cache.read("two", two, REF)
    assert (one.reads, two.reads) == (1, 1)


def test_threads_read_a_blob_once(tmp_path) -> None:
    blobs, found = Counted(), []
    blobs.put(LARGE)
    threads = [
        threading.Thread(target=lambda: found.append(len(InputCache(tmp_path).read("w", blobs, REF)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [len(LARGE)] * 8
    assert blobs.reads == 1


def _read(folder: Path, storage: Path, queue) -> None:
    blobs = Counted(_Hidden(LocalStorage(storage).blobs("w")))
    queue.put((len(InputCache(folder).read("w", blobs, REF)), blobs.reads))


class _Hidden:
    """A store of files that does not say so."""

    def __init__(self, blobs) -> None:
        self.put, self.properties, self.open = blobs.put, blobs.properties, blobs.open


def test_processes_read_a_blob_once(tmp_path) -> None:
    LocalStorage(tmp_path / "blobs").blobs("w").put(REF, LARGE)
    folder = tmp_path / "cache"
    folder.mkdir()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_read, args=(folder, tmp_path / "blobs", queue)) for _ in range(4)]
    for process in processes:
        process.start()
    found = [queue.get() for _ in processes]
    for process in processes:
        process.join()
    assert {length for length, _ in found} == {len(LARGE)}
    assert sum(reads for _, reads in found) == 1


def test_it_is_bounded_and_keeps_what_was_used_last(tmp_path) -> None:
    blobs, cache = Counted(), InputCache(tmp_path, most_bytes=250)
    refs = [BlobRef(f"c{i}", "inputData") for i in range(3)]
    for i, ref in enumerate(refs):
        blobs.put(bytes([i]) * 100, ref)
    for ref in (refs[0], refs[1], refs[0], refs[2]):
        time.sleep(0.02)  # clocks of files are coarse
        cache.read("w", blobs, ref)
    assert sum(file.stat().st_size for file in files(tmp_path)) <= 250
    assert blobs.reads == 3
    cache.read("w", blobs, refs[0])
    assert blobs.reads == 3, "the one in use stayed"
    cache.read("w", blobs, refs[1])
    assert blobs.reads == 4
    blobs.put(b"x" * 251)
    assert len(cache.read("w", blobs, REF)) == 251
    assert all(file.stat().st_size == 100 for file in files(tmp_path)), "what is too large is not kept"


def test_what_was_removed_may_still_be_used(tmp_path) -> None:
    blobs, cache = Counted(), InputCache(tmp_path, most_bytes=len(LARGE))
    blobs.put(LARGE)
    first = cache.read("w", blobs, REF)
    other = BlobRef("d", "inputData")
    blobs.put(LARGE[::-1], other)
    assert bytes(cache.read("w", blobs, other)) == LARGE[::-1]
    assert bytes(first) == LARGE
    assert len(files(tmp_path)) == 1


def test_an_empty_blob_is_empty(tmp_path) -> None:
    blobs = Counted()
    blobs.put(b"")
    assert InputCache(tmp_path).read("w", blobs, REF) == b""


def test_a_blob_that_is_not_there_is_said_so(tmp_path) -> None:
    with pytest.raises(BlobNotFound):
        InputCache(tmp_path).read("w", Counted(), REF)


def test_a_disk_without_room_only_costs_time(tmp_path, monkeypatch) -> None:
    blobs, cache = Counted(), InputCache(tmp_path)
    blobs.put(LARGE)

    def full(*_: object, **__: object):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.tempfile, "mkstemp", full)
    for _ in range(2):
        assert bytes(cache.read("w", blobs, REF)) == LARGE
    assert files(tmp_path) == []


def test_a_disk_that_gets_full_while_a_blob_is_written_only_costs_time(tmp_path, monkeypatch) -> None:
    blobs, cache = Counted(), InputCache(tmp_path)
    blobs.put(LARGE)
    monkeypatch.setattr(module.os, "fdopen", lambda *_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    assert bytes(cache.read("w", blobs, REF)) == LARGE
    assert files(tmp_path) == []


def test_a_folder_that_is_gone_only_costs_time(tmp_path) -> None:
    blobs = Counted()
    blobs.put(LARGE)
    assert bytes(InputCache(tmp_path / "gone").read("w", blobs, REF)) == LARGE


def test_files_of_processes_that_were_killed_are_removed_some_time(tmp_path) -> None:
    blobs = Counted()
    blobs.put(b"1")
    old, new = tmp_path / "part-old", tmp_path / "part-new"
    for file in (old, new):
        file.write_bytes(b"some")
    os.utime(old, (0.0, 0.0))
    InputCache(tmp_path).read("w", blobs, REF)
    assert (old.exists(), new.exists()) == (False, True)
