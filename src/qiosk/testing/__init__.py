"""Qiosk in memory, for tests of programs that use it: no files, no processes, no network.

``MemoryService`` opens workspaces whose jobs run in the thread that submits them, by the solvers or by a runner of the
test's own. Behind it are implementations in memory of all ports of the service, which can be used alone: stores of
jobs, sessions, blobs, keys and limits, executors and a clock.

>>> from qiosk import Problem
>>> from qiosk.optimization import SimulatedAnnealing, Term
>>> from qiosk.testing import MemoryService, answering
>>> def cheapest(workspace):  # the program to be tested
...     problem = Problem("ship", [Term(c=3, indices=[0, 1]), Term(c=-1, indices=[1])])
...     return SimulatedAnnealing(workspace, seed=1).optimize(problem).cost
>>> cheapest(MemoryService().workspace())
-4.0
>>> cheapest(MemoryService(answering({0: 1, 1: 1}, cost=2.0)).workspace())
2.0
"""

from __future__ import annotations

from qiosk.testing.accounts import MemoryKeyStore, MemoryLimitStore, MemorySessionStore
from qiosk.testing.blobs import MemoryBlobStore, MemoryStorage
from qiosk.testing.execution import DeferredExecutor, InlineExecutor, ManualClock
from qiosk.testing.jobs import MemoryJobStore
from qiosk.testing.runners import answering, failing
from qiosk.testing.services import MemoryService
from qiosk.testing.statistics import MemoryStatistics

__all__ = [
    "DeferredExecutor",
    "InlineExecutor",
    "ManualClock",
    "MemoryBlobStore",
    "MemoryJobStore",
    "MemoryKeyStore",
    "MemoryLimitStore",
    "MemoryService",
    "MemorySessionStore",
    "MemoryStatistics",
    "MemoryStorage",
    "answering",
    "failing",
]
