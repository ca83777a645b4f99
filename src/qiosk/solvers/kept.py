"""What was made of a cost function for one solve, kept for the next ones of the same process.

A cost function never changes, so its compiled problem stays right, and so does what is derived from that: a ``Problem``
that changes makes a new cost function. Both go with the cost function, and the oldest go when they take too much memory
together. The latest may take more than that if it is the only one: large problems are those that take long to make.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import RLock

from qiosk.machine import physical_memory
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import CostFunction

MOST_BYTES = 2**30
"""Memory of all that is kept [bytes], at most, if it is of several cost functions."""
MOST_SHARE = 0.125
"""Share of the machine's memory that all of it may take, whether of one or of several."""
PAIR_BYTES, ID_BYTES = 150, 100
"""About what a pair, and what an id of a larger term takes, with all that is derived from them."""
DENSE_SHARE = 0.06
"""Share of all pairs from which a matrix may be made of them."""


@dataclass(slots=True)
class _Entry:
    owner: weakref.ref[CostFunction]
    problems: dict[Hashable, CompiledProblem] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(map(bytes_of, self.problems.values()))


class Kept:
    """Compiled problems by cost function: of several together ``most_bytes``, of one alone ``largest``, at most."""

    def __init__(self, most_bytes: int, largest: int) -> None:
        self.most_bytes, self.largest = most_bytes, largest
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._lock = RLock()  # the collector may run a callback at any time

    def __len__(self) -> int:
        return len(self._entries)

    def problem(
        self, cost_function: CostFunction, variant: Hashable, make: Callable[[], CompiledProblem]
    ) -> CompiledProblem:
        """What ``make`` returned for this cost function and variant, if that is still there; else what it returns now.

        Several threads may make it at the same time.
        """
        key = id(cost_function)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and entry.owner() is cost_function and variant in entry.problems:
                self._entries.move_to_end(key)
                return entry.problems[variant]
        made = make()
        if bytes_of(made) <= self.largest:
            with self._lock:
                if key not in self._entries:
                    self._entries[key] = _Entry(weakref.ref(cost_function, lambda _: self._drop(key)))
                self._entries[key].problems[variant] = made
                self._entries.move_to_end(key)
                while self._is_too_much():
                    self._drop(next(iter(self._entries)))
        return made

    def let_go(self, problem: CompiledProblem) -> None:
        """Forget what is derived from a problem that a solve is done with, unless the problem is kept."""
        with self._lock:
            if not any(problem in entry.problems.values() for entry in self._now()):
                problem.forget()

    def renew_lock(self) -> None:
        """In a forked child: the lock may be that of a thread that is not there."""
        self._lock = RLock()

    def _now(self) -> list[_Entry]:
        """A copy: the collector may drop entries while the lock is held, in the same thread."""
        return list(self._entries.values())

    def _is_too_much(self) -> bool:
        together = sum(entry.size for entry in self._now())
        return together > (self.most_bytes if len(self._entries) > 1 else self.largest)

    def _drop(self, key: int) -> None:
        with self._lock:
            entry = self._entries.pop(key, None)
        for problem in entry.problems.values() if entry else ():
            problem.forget()


def bytes_of(problem: CompiledProblem) -> int:
    """About what a problem and all that is derived from it take."""
    n, pairs = problem.n, problem.n_pairs
    is_dense = pairs >= DENSE_SHARE * n * (n - 1) / 2
    ids = n + len(problem.term_variables) + len(problem.group_variables)
    return PAIR_BYTES * pairs + ID_BYTES * ids + (8 * n * n if is_dense else 0)


def limits(memory: int) -> tuple[int, int]:
    """Bytes that problems of several cost functions, and those of one, may take with this much memory; 0 if unknown."""
    largest = int(MOST_SHARE * memory) if memory > 0 else MOST_BYTES
    return min(MOST_BYTES, largest), largest


KEPT = Kept(*limits(physical_memory()))
"""Those of this process."""
os.register_at_fork(after_in_child=KEPT.renew_lock)
