"""A study: instances, targets, parameters and seeds, whose jobs are submitted, followed and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qiosk.contract.jobs import JobQuery, JobStatus, JobView
from qiosk.errors import JobNotFound
from qiosk.studies.instances import Instance, find_instances
from qiosk.studies.progress import ProgressTable
from qiosk.studies.rows import NOT_SUBMITTED, UNREADABLE, Row, read_row, with_targets
from qiosk.studies.running import Counts, StudyRun, StudySession
from qiosk.studies.settings import StudySettings, read_file, read_settings
from qiosk.studies.tables import frame, write_table
from qiosk.studies.trials import Trial, all_trials

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from qiosk.client.workspace import Workspace
    from qiosk.problem import Problem

_READERS = 8
"""Threads that read results from the workspace."""
_BATCH = 1000
"""Jobs whose results are read together."""


class Study:
    """Instances × targets × parameters × seeds, each combination a job of the workspace.

    The jobs have ids that follow from what they do, so :meth:`run` may be called again, also in another process after
    this one was killed: it submits only what is missing. ``Study.from_file`` reads the settings from a file; they are
    described by :class:`qiosk.studies.settings.StudySettings`.

    >>> import qiosk
    >>> problem = qiosk.Problem("chain")
    >>> problem.add_terms(coefficients=[1] * 9, ids=[[i, i + 1] for i in range(9)])
    >>> targets = [{"target": "tabu", "grid": {"sweeps": [5, 50]}}, {"target": "simulatedannealing"}]
    >>> with qiosk.Workspace() as workspace:
    ...     study = qiosk.Study(workspace, "chains", [problem], targets, seeds=2, timeout=1)
    ...     study.run()
    ...     rows = study.rows()
    >>> len(rows), rows[0].solver, {row.cost for row in rows}, {row.status for row in rows}
    (6, 'tabu sweeps=5', {-9.0}, {'Succeeded'})

    Args:
        workspace: where the jobs run.
        name: name of the study in this workspace.
        instances: problems, paths and patterns of files, or tables with ``files`` and how they are read.
        targets: tables with ``target``, ``parameters``, ``grid`` and ``label``.
        settings: ``seeds``, ``timeout``, ``target_gap``, ``stop_at_target``, ``jobs_in_flight``, ``tags``.
        folder: where relative paths begin; by default the current folder.

    Raises WrongType, InvalidValue, InvalidTarget, which name the setting, the rule and the value.
    """

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        instances: Sequence[Problem | Path | str | Mapping[str, Any]],
        targets: Sequence[Mapping[str, Any]],
        *,
        folder: str | Path | None = None,
        **settings: Any,
    ) -> None:
        members = {"name": name, "instances": instances, "targets": targets, **settings}
        self._begin(workspace, "study", read_settings("study", members), Path.cwd() if folder is None else Path(folder))

    @classmethod
    def from_file(cls, workspace: Workspace, file: str | Path) -> Study:
        """The study of a file of settings in TOML, in whose folder relative paths begin.

        Raises OSError, UnreadableInput, and as the class.
        """
        path = Path(file)
        study = cls.__new__(cls)
        study._begin(workspace, str(path), read_settings(str(path), read_file(path)), path.absolute().parent)
        return study

    def _begin(self, workspace: Workspace, where: str, settings: StudySettings, folder: Path) -> None:
        self.workspace = workspace
        self.settings = settings
        self._where = where
        self._instances = find_instances(where, settings.instances, folder.resolve())
        self._errors: dict[str, str] = {}
        self._final: dict[str, Row] = {}

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.settings.name

    @property
    def instances(self) -> Sequence[Instance]:
        """The instances, in the order of the settings."""
        return tuple(self._instances)

    @cached_property
    def trials(self) -> Sequence[Trial]:
        """All combinations, by instance, target, parameters and seed; the instances are read.

        Raises InvalidValue if they are too many, or runs are to stop at a target that an instance does not have.
        """
        return all_trials(self._where, self.settings, self._instances)

    def run(
        self,
        *,
        retry: bool = False,
        show_progress: bool = True,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Submit the jobs that are missing, a limited number at a time, and return when all have ended.

        An instance that cannot be read, or a job that fails, does not stop the others; :meth:`rows` shows what was
        wrong. On a terminal a table shows the progress. If this process ends, the jobs that were submitted continue.

        Args:
            retry: delete the jobs that have failed or were cancelled, and run them again.
            show_progress: whether the table is shown.
            should_stop: called about twice a second; once it returns True, no more jobs are submitted, and the method
                returns. Those that were submitted continue.

        Raises Conflict if the study is cancelled meanwhile; QuotaExceeded if not a single job may be submitted.
        """
        if retry:
            self._delete_failed()
        with ProgressTable(self.name, enabled=show_progress) as table:
            run = StudyRun(self.workspace, self.settings, self.trials, table.update)
            try:
                run.run(should_stop)
            finally:
                self._errors = run.errors

    def cancel(self) -> int:
        """Cancel the jobs that have not ended, whose best solutions so far are kept, and return how many they were.

        A process that runs the study submits no more jobs.
        """
        StudySession(self.workspace, self.settings).close()
        active = [view.id for view in self._jobs(JobStatus.WAITING, JobStatus.EXECUTING)]
        for job_id in active:
            with suppress(JobNotFound):
                self.workspace.api.cancel(job_id)
        return len(active)

    def counts(self) -> Counts:
        """How many trials there are of each solver (first) in each state (second)."""
        status = {view.id: str(view.status) for view in self._jobs()}
        return Counter(
            (trial.configuration.label, status.get(trial.job_id or "", _without_job(trial))) for trial in self.trials
        )

    def rows(self) -> list[Row]:
        """A row for each trial, with the results so far; the rows of jobs that have ended are read once."""
        found = dict(self._final)
        if len(found) < len(self._by_id):
            with ThreadPoolExecutor(_READERS) as pool:
                new = (view for view in self._jobs() if view.id not in self._final)
                while views := list(islice(new, _BATCH)):  # what is read of the jobs is not kept
                    rows = pool.map(lambda view: self._row(self._by_id[view.id], view), views)
                    found |= {str(row.job_id): row for row in rows}
        self._final = {job_id: row for job_id, row in found.items() if row.is_final}
        every = [found.get(trial.job_id or "") or self._row(trial, None) for trial in self.trials]
        return with_targets(every, self.settings.target_gap)

    def to_frame(self) -> pandas.DataFrame:
        """The rows as a pandas DataFrame: a column for each attribute of :class:`Row`, and for each parameter one such
        as ``parameter_sweeps``; of the provenance the digest of the problem, versions and machine.

        Raises MissingExtra without pandas.
        """
        return frame(self.rows())

    def write(self, file: str | Path) -> None:
        """Write the rows as CSV, or as Parquet with pandas and pyarrow, by the suffix of the file's name.

        Raises OSError, InvalidValue, MissingExtra.
        """
        write_table(Path(file), self.rows())

    def plot(self, kind: str = "performance-profile", **options: Any) -> Axes:
        """Plot a comparison of the solvers: ``performance-profile``, ``time-to-target`` or ``ranks``.

        See :mod:`qiosk.studies.plots` for them and their options. Raises InvalidValue, MissingExtra.
        """
        from qiosk.studies.plots import plot

        return plot(kind, self.rows(), **options)

    @cached_property
    def _by_id(self) -> Mapping[str, Trial]:
        """The trials by the ids of their jobs."""
        return {trial.job_id: trial for trial in self.trials if trial.job_id is not None}

    def _row(self, trial: Trial, view: JobView | None) -> Row:
        row = read_row(self.workspace.api, trial, view)
        error = self._errors.get(trial.job_id or "")
        return row if error is None or row.error is not None else replace(row, error=error)

    def _jobs(self, *statuses: JobStatus) -> Iterator[JobView]:
        """The study's jobs, in these states if any are given; not those of earlier settings."""
        query = JobQuery(tags=(self.settings.tag,), statuses=statuses or None)
        return (view for view in self.workspace.api.list(query) if view.id in self._by_id)

    def _delete_failed(self) -> None:
        for view in list(self._jobs(JobStatus.FAILED, JobStatus.CANCELLED)):
            with suppress(JobNotFound):
                self.workspace.api.delete(view.id)
            self._final.pop(view.id, None)

    def __repr__(self) -> str:
        return f"<Study {self.name!r} of {len(self._instances)} instances>"


def _without_job(trial: Trial) -> str:
    return NOT_SUBMITTED if trial.job_id is not None else UNREADABLE
