"""How a caller follows and controls a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qiosk.contract.jobs import JobProgress
from qiosk.kernels.announcements import Start
from qiosk.solvers.reports import ChunkReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """How a caller follows and controls a run.

    ``on_progress`` is called instead of ``on_chunk`` while something else than a solver works.
    ``resume`` is a checkpoint to continue from. With ``is_extension`` it is that of a run that has ended: the time of
    that run does not count against the time limit. ``input_data_uri`` is where the problem is stored, for results
    documents that contain it. ``max_seconds`` ends the run like a time limit, whatever time limit the parameters have;
    what was done before the checkpoint does not count. ``start`` is when the time that the run may take began; by
    default when the run begins.
    """

    is_cancelled: Callable[[], bool] = lambda: False
    on_progress: Callable[[JobProgress], object] = lambda progress: None
    on_chunk: Callable[[ChunkReport], None] = lambda report: None
    resume: bytes | None = None
    is_extension: bool = False
    input_data_uri: str = ""
    max_seconds: float | None = None
    start: Start | None = None
