"""How kernels are compiled, and where the machine code is kept.

Numba's own on-disk cache looks at the file that holds a function and not at what that file imports, so after an edit of
``simd.py`` it would use stale machine code; and two processes that save different signatures of one function at
once can give both the same file. Here each specialization has a file of its own, named by a digest of everything that
decides its contents: the source of this whole package, the versions of Numba, llvmlite and Python, the name of the
function, the constants of its closure, the argument types, and the processor with its features. Files are written
beside their place and renamed into it, so any number of processes may share a folder; of those that need the same code
at the same time one compiles it (``claims``).

The folder is the one that ``QIOSK_CACHE_DIR`` or else ``NUMBA_CACHE_DIR`` names, else the user's cache folder. If the
user has none that can be written to, as in many containers, it is in ``QIOSK_HOME``. When the folder cannot be written,
kernels are compiled again in every process. It holds a folder for every version of the sources. A folder in
use is touched once a day; the first process to write into a new one removes those that were not touched for a month.

A fork waits until no other thread compiles: the child would have the compiler's lock and no thread to release it.

A process logs the first kernel that it compiles, because that takes seconds, and tells the listeners of
``announcements`` of every one. The level is WARNING, which Python prints where logging is not set up.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import logging
import os
import pickle
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core import config as numba_config
from numba.core import event as events
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from qiosk.kernels import announcements, claims

config: Any = numba_config  # its members are made from the environment

os.register_at_fork(
    before=global_compiler_lock.acquire,
    after_in_parent=global_compiler_lock.release,
    after_in_child=global_compiler_lock.release,
)

_log = logging.getLogger(__name__)

UNUSED_S = 30 * 86_400.0
"""Seconds without use after which a folder of machine code is removed."""
_TOUCH_S = 86_400.0
_DOOMED = "unused-"
_FOLDER = re.compile(f"({_DOOMED})?[0-9a-f]{{20}}")

_DAMAGED = (pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError, ImportError)

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False, "fastmath": False}
"""Options of every kernel: no fast math, so results do not depend on the width of the machine's registers."""

inlined = partial(numba.njit, **OPTIONS, forceinline=True)
"""Decorator of small functions that are compiled into the kernels that call them."""

called = partial(numba.njit, **OPTIONS)
"""Decorator of larger functions that kernels call."""


def jit_enabled() -> bool:
    """Whether kernels are compiled at all: false under ``NUMBA_DISABLE_JIT=1``."""
    return not config.DISABLE_JIT


@cache
def simd_available() -> bool:
    """Whether SIMD kernels can be used: compilation is on, and this Numba has the interface they need."""
    if not jit_enabled():
        return False
    try:
        from qiosk.kernels import simd  # noqa: F401
    except (ImportError, AttributeError, TypeError) as error:
        _log.warning("no SIMD kernels with numba %s, plain loops are used: %s", numba.__version__, error)
        return False
    return True


UNCOUNTED: dict[str, Any] = {"_nrt": False}
"""Options of functions that make no arrays and read many: without them references are counted at every access."""

INTERNAL: dict[str, Any] = {**UNCOUNTED, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""The same, and they cannot be called from Python once compiled: with many arrays the code that reads such a call takes
half of the time to compile."""


def uncounted_kernel(function: Callable[..., Any]) -> Any:
    """Decorator: as ``kernel``, with the options ``UNCOUNTED``."""
    return kernel(function, **UNCOUNTED)


def kernel(function: Callable[..., Any], **options: Any) -> Any:
    """Decorator: compile at the first call, for the types of that call, through the cache on disk.

    The closure of ``function`` may hold numbers, strings, NumPy dtypes and compiled functions; anything else
    has no text for a file name and raises TypeError.
    """
    if not jit_enabled():
        return function
    cache = KernelCache(function)
    # The linker takes functions of one name for one function, and Numba numbers those of a process only: two closures
    # that different processes have compiled could have the same name, and one would run in place of the other.
    function.__qualname__ = f"{function.__qualname__}_{cache.digest}"
    dispatcher = numba.njit(**OPTIONS, **options)(function)
    dispatcher._cache = cache
    return dispatcher


@cache
def source_digest() -> str:
    """Digest of the source of this package and of the versions of what compiles it."""
    digest = hashlib.sha256()
    versions = (numba.__version__, llvmlite.__version__, platform.python_version(), np.__version__)
    digest.update(repr(versions).encode())
    folders = [importlib.resources.files("qiosk.kernels")]
    while folders:
        for entry in sorted(folders.pop().iterdir(), key=lambda item: item.name):
            if entry.is_dir() and entry.name != "__pycache__":
                folders.append(entry)
            elif entry.name.endswith(".py"):
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()[:20]


def cache_folder() -> Path:
    """Where machine code is kept; need not exist."""
    if chosen := os.environ.get("QIOSK_CACHE_DIR"):
        return Path(chosen) / "kernels"
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR) / "qiosk-kernels"
    users = _users_caches()
    home = os.environ.get("QIOSK_HOME")
    if home and (users is None or not _is_writable(users)):
        return Path(home) / "cache" / "kernels"
    return (users or Path(os.devnull)) / "qiosk" / "kernels"


def _users_caches() -> Path | None:
    """The user's folder for caches; None if it is unknown where the user's home is."""
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen)
    try:
        return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    except RuntimeError:
        return None


def _is_writable(folder: Path) -> bool:
    """Whether files can be written in a folder, or it can be made."""
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))  # also for what may not be seen
    return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)


@cache
def mark_as_used(folder: Path) -> None:
    """Note, once a process and at most once a day, that a folder of machine code is in use; it need not exist."""
    try:
        if time.time() - folder.stat().st_mtime > _TOUCH_S:
            os.utime(folder)
    except OSError as error:
        _log.debug("%s is not marked as used: %s", folder, error)


@cache
def log_compiling(folder: Path, process: int) -> None:
    """Log that kernels are compiled, once per process; a fork counts as another process."""
    _log.warning("compiling kernels; they are kept in %s for later runs", folder)


def remove_unused(folders: Path, keep: str) -> None:
    """Remove folders named by digests in which nothing was written and nothing used for ``UNUSED_S``, except ``keep``.

    A folder is renamed before it is emptied, so that no process finds half of one. Any number may do this at once:
    a later process finds nothing, and one whose folder is gone compiles again.
    """
    for folder in folders.iterdir():
        if folder.name == keep or not _FOLDER.fullmatch(folder.name):
            continue
        try:
            if time.time() - folder.stat().st_mtime <= UNUSED_S:
                continue
            doomed = folder.rename(folders / f"{_DOOMED}{folder.name.removeprefix(_DOOMED)}")
        except OSError as error:
            _log.info("%s is not removed: %s", folder, error)
            continue
        shutil.rmtree(doomed, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make the folder for these sources, if it is not there, and then remove those that are not used."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        remove_unused(folder.parent, keep=folder.name)


def _has_folder(folder: Path) -> bool:
    try:
        make_folder(folder)
    except OSError:
        return False
    return True


def _closure_key(function: Callable[..., Any]) -> str:
    parts = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        value = cell.cell_contents
        if isinstance(value, Dispatcher):
            value = f"{value.py_func.__module__}.{value.py_func.__qualname__}({_closure_key(value.py_func)})"
        elif not isinstance(value, (int, float, str, np.dtype, np.generic)):
            raise TypeError(f"kernel {function.__qualname__}: closure variable {name} is a {type(value).__name__}")
        parts.append(f"{name}={value!r}")
    return ",".join(parts)


def _payload(path: Path) -> Any:
    """What a file of machine code contains; None if there is none, or it is damaged."""
    try:
        return pickle.loads(path.read_bytes())
    except OSError:
        return None
    except _DAMAGED as error:
        _log.warning("%s is damaged and will be written again: %s", path, error)
        return None


class _CompileTimer(events.Listener):
    """Records how long compilations take: what they compile on the way is part of them. Only one thread compiles."""

    def __init__(self) -> None:
        self._began: list[float] = []

    def on_start(self, event: Any) -> None:
        """A compilation begins."""
        self._began.append(time.monotonic())

    def on_end(self, event: Any) -> None:
        """A compilation ends."""
        began = self._began.pop()
        if not self._began:
            announcements.record(time.monotonic() - began)


events.register("numba:compile", _CompileTimer())


class KernelCache(_Cache):
    """The machine code of one kernel, one file per specialization. Implements Numba's cache interface."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = function.__qualname__.replace("<locals>.", "")
        self._key = f"{function.__module__}.{function.__qualname__}({_closure_key(function)})"
        self._enabled = True

    @property
    def digest(self) -> str:
        """A name for the function and its closure."""
        return hashlib.sha256(self._key.encode()).hexdigest()[:12]

    @property
    def cache_path(self) -> str:
        """The folder of the files."""
        return str(cache_folder() / source_digest())

    def enable(self) -> None:
        """Use the files again."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def flush(self) -> None:
        """Forget every specialization of this kernel."""
        for path in Path(self.cache_path).glob(f"{self._name}-*.bin"):
            path.unlink(missing_ok=True)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function for these argument types, or None."""
        if not self._enabled:
            return None
        # Numba's own cache refreshes the context. Compiling does that as well, and what is compiled already needs only
        # the runtime, none of the implementations: importing those takes longer than all the rest.
        began = time.monotonic()
        rtsys.initialize(target_context)
        path = self._path(sig, target_context.codegen())
        mark_as_used(path.parent)
        payload = _payload(path)
        if payload is None and not path.exists() and _has_folder(path.parent) and claims.is_compiled_elsewhere(path):
            payload = _payload(path)
        if payload is None:
            log_compiling(path.parent, os.getpid())
            announcements.announce()
            return None
        loaded = CompileResult._rebuild(target_context, *payload)
        announcements.record_loading(time.monotonic() - began)
        return loaded

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function; without a writable folder it is compiled in every process."""
        if not self._enabled:
            return
        path = self._path(sig, data.codegen)
        try:
            make_folder(path.parent)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(dumps(data._reduce()))
            os.replace(temporary, path)
        except OSError as error:
            _log.info("%s is not kept: %s", path, error)
        finally:
            claims.release(path)

    def _path(self, sig: Any, codegen: Any) -> Path:
        key = repr((self._key, str(sig), codegen.magic_tuple()))
        name = f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.bin"
        return Path(self.cache_path) / name
