"""The solver classes of the old SDK: parameters in, jobs out.

A solver object is a target and its parameters. Which of a solver's two targets it is follows from the
parameters: if none of those that shape the search is given, the job goes to the ``-parameterfree`` one, which
finds them itself. Values are sent as they are; the service checks them and ends the job ``Failed`` if they
are wrong.
"""

from __future__ import annotations

import gzip
import logging
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from qiosk.client.job import DEFAULT_TIMEOUT_S, Job
from qiosk.contract.jobs import QIO_INPUT_FORMAT, QIO_OUTPUT_FORMAT, SubmitJob, TargetView
from qiosk.errors import InvalidValue, WrongType

if TYPE_CHECKING:
    from qiosk.client.results import Results
    from qiosk.client.workspace import Workspace
    from qiosk.problem import Problem

_log = logging.getLogger(__name__)

PARAMETER_FREE = "-parameterfree"

SWEEPS_WARNING = 10_000
"""From this number of sweeps on, ``optimize`` warns about large problems."""
TIMEOUT_WARNING_S = 600
"""From this time-out on, ``optimize`` warns."""

UNNAMED = "Optimization problem"
"""Name of a job whose problem has none of its own."""


class HardwarePlatform(Enum):
    """Where a solver runs; programs may still name it, and only the CPU is left."""

    CPU = 1
    FPGA = 2


class Solver:
    """A target of a workspace, with parameters; base of the solver classes, usable for any other target.

    Args:
        workspace: where jobs go.
        name: target id, such as ``microsoft.tabu.cpu``.
        provider_id: who offers the target.
        input_data_format, output_data_format: names of the formats of the two blobs.
        nested_params: whether parameters are sent as ``{"params": {…}}`` (Microsoft) or flat.
        force_str_params: whether every value is sent as a string.
        params: parameters by name; None leaves a parameter out.
        average_queue_time: seconds a job waits, if known.
        current_availability: ``Available``, ``Degraded`` or ``Unavailable``, if known.
    """

    target_names: ClassVar[tuple[str, ...]] = ()
    """Targets that this class stands for."""
    tuned_by: ClassVar[tuple[str, ...]] = ()
    """Parameters that shape the search: without any of them the parameter-free target is used."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        provider_id: str = "Microsoft",
        input_data_format: str = QIO_INPUT_FORMAT,
        output_data_format: str = QIO_OUTPUT_FORMAT,
        nested_params: bool = True,
        force_str_params: bool = False,
        params: Mapping[str, Any] | None = None,
        *,
        average_queue_time: float | None = None,
        current_availability: str = "",
    ) -> None:
        params = params or {}
        self.workspace = workspace
        self.name = target_for(name, params, self.tuned_by)
        self.provider_id = provider_id
        self.input_data_format = input_data_format
        self.output_data_format = output_data_format
        self.nested_params = nested_params
        self.force_str_params = force_str_params
        self.average_queue_time = average_queue_time
        self.current_availability = current_availability
        self.params: dict[str, Any] = {"params": {}} if nested_params else {}
        for parameter, value in params.items():
            self.set_one_param(parameter, value)

    def set_one_param(self, name: str, value: Any) -> None:
        """Set a parameter; None leaves it as it is. Raises WrongType or InvalidValue if JSON cannot hold it."""
        if value is None:
            return
        plain = json_value(name, value)
        self._values[name] = str(plain) if self.force_str_params else plain

    def set_number_of_solutions(self, number_of_solutions: int) -> None:
        """How many distinct solutions the results list, best first; 1 unless set."""
        self.set_one_param("number_of_solutions", number_of_solutions)

    def submit(
        self,
        problem: Problem | str | bytes,
        *,
        compress: bool = True,
        name: str | None = None,
        tags: Sequence[str] = (),
        priority: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Job:
        """Queue a job that solves a problem.

        Args:
            problem: a problem, the URI of an uploaded one, or the bytes of a serialized one (raw or gzip).
            compress: store the problem as gzip.
            name: of the job; the problem's own by default.
            tags, priority, metadata: kept with the job.

        Raises WrongType, InvalidInput, InvalidJobDefinition, before anything is stored.
        """
        uri, data, own_name = _source(problem, compress)
        command = SubmitJob(
            id=Job.create_job_id(),
            name=name or own_name,
            provider_id=self.provider_id,
            target=self.name,
            input_data=data,
            input_data_uri=uri,
            input_data_format=self.input_data_format,
            output_data_format=self.output_data_format,
            input_params=self.params,
            tags=tuple(tags),
            priority=priority,
            metadata=metadata,
        )
        return self.workspace.submit(command)

    def optimize(self, problem: Problem | str | bytes, timeout_secs: float | None = DEFAULT_TIMEOUT_S) -> Results:
        """Submit a job and return its results.

        Raises what ``submit`` and ``Job.get_results`` raise; after a TimeoutError the job goes on.
        """
        self._warn_if_long(problem)
        job = self.submit(problem)
        _log.info("submitted job %s", job.id)
        return job.get_results(timeout_secs=timeout_secs)

    def refresh(self) -> None:
        """Read availability and queue time again. Raises ValueError if the target is gone."""
        views = self.workspace.target_views(self.name, self.provider_id)
        if not views:
            raise ValueError(f"target {self.name!r} of provider {self.provider_id!r} is not offered")
        self.current_availability = views[0].current_availability
        self.average_queue_time = views[0].average_queue_time

    @property
    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = self.params["params"] if self.nested_params else self.params
        return values

    def _warn_if_long(self, problem: Problem | str | bytes) -> None:
        sweeps, timeout = (self._values.get(key) for key in ("sweeps", "timeout"))
        large = not isinstance(problem, (str, bytes)) and problem.is_large()
        if large and isinstance(sweeps, int) and sweeps >= SWEEPS_WARNING:
            _log.warning("a large problem and %d sweeps: this may take long", sweeps)
        if isinstance(timeout, (int, float)) and timeout >= TIMEOUT_WARNING_S:
            _log.warning("a time-out of %s s: this may take long", timeout)

    def __repr__(self) -> str:
        queue = "" if self.average_queue_time is None else f", avg. queue time={self.average_queue_time} s"
        availability = f", {self.current_availability}" if self.current_availability else ""
        return f'<Target name="{self.name}"{queue}{availability}>'


class SimulatedAnnealing(Solver):
    """Annealing of many independent restarts; parameter-free unless its search is given.

    Args:
        workspace: where jobs go.
        name: target.
        beta_start, beta_stop: inverse temperature at the first and the last sweep [1/cost].
        sweeps: sweeps of each restart.
        restarts: independent runs.
        timeout: most seconds to search.
        seed: makes the run repeatable.
        platform: only the CPU is left; ValueError for another.
        params: further parameters by name, such as ``number_of_solutions``.
    """

    target_names = ("microsoft.simulatedannealing.cpu", "microsoft.simulatedannealing-parameterfree.cpu")
    tuned_by = ("beta_start", "beta_stop", "sweeps", "restarts")

    def __init__(
        self,
        workspace: Workspace,
        name: str = "microsoft.simulatedannealing.cpu",
        beta_start: float | None = None,
        beta_stop: float | None = None,
        sweeps: int | None = None,
        restarts: int | None = None,
        timeout: float | None = None,
        seed: int | None = None,
        platform: HardwarePlatform = HardwarePlatform.CPU,
        *,
        params: Mapping[str, Any] | None = None,
        **target: Any,
    ) -> None:
        if platform is not HardwarePlatform.CPU:
            raise ValueError(f"platform must be HardwarePlatform.CPU, found {platform}")
        own = {"beta_start": beta_start, "beta_stop": beta_stop, "sweeps": sweeps, "restarts": restarts}
        own |= {"timeout": timeout, "seed": seed}
        super().__init__(workspace, name, params={**(params or {}), **_given(own)}, **target)


class ParallelTempering(Solver):
    """Replicas at fixed temperatures that exchange places; parameter-free unless its search is given.

    Args:
        workspace: where jobs go.
        name: target.
        sweeps: sweeps of each replica.
        replicas: number of replicas; the length of ``all_betas`` when that is given.
        all_betas: inverse temperature of each replica [1/cost].
        timeout: most seconds to search.
        seed: makes the run repeatable.
        params: further parameters by name, such as ``number_of_solutions``.

    Raises ValueError if ``replicas`` is not the length of ``all_betas``.
    """

    target_names = ("microsoft.paralleltempering.cpu", "microsoft.paralleltempering-parameterfree.cpu")
    tuned_by = ("sweeps", "replicas", "all_betas")

    def __init__(
        self,
        workspace: Workspace,
        name: str = "microsoft.paralleltempering.cpu",
        sweeps: int | None = None,
        replicas: int | None = None,
        all_betas: Sequence[float] | None = None,
        timeout: float | None = None,
        seed: int | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        **target: Any,
    ) -> None:
        if all_betas is not None:
            replicas = len(all_betas) if replicas is None else replicas
            if replicas != len(all_betas):
                raise ValueError(f"replicas must be the length of all_betas, {len(all_betas)}, found {replicas}")
        own = {
            "sweeps": sweeps,
            "replicas": replicas,
            "all_betas": all_betas,
            "timeout": timeout,
            "seed": seed,
        }
        super().__init__(workspace, name, params={**(params or {}), **_given(own)}, **target)


SOLVERS: tuple[type[Solver], ...] = (SimulatedAnnealing, ParallelTempering)
"""The solver classes; each names its targets."""

_CLASS_OF: Mapping[str, type[Solver]] = {name: solver for solver in SOLVERS for name in solver.target_names}


def target_for(name: str, params: Mapping[str, Any], tuned_by: Sequence[str] | None = None) -> str:
    """The target that a solver with these parameters is sent to.

    ``microsoft.simulatedannealing.cpu`` without any parameter in ``tuned_by`` (those of the target's class
    unless given) becomes ``microsoft.simulatedannealing-parameterfree.cpu``; every other name stays.
    """
    if tuned_by is None:
        tuned_by = _CLASS_OF.get(name.lower(), Solver).tuned_by
    head, dot, platform = name.rpartition(".")
    if not tuned_by or not dot or head.lower().endswith(PARAMETER_FREE):
        return name
    return name if any(params.get(key) is not None for key in tuned_by) else f"{head}{PARAMETER_FREE}.{platform}"


def solver_for(workspace: Workspace, view: TargetView) -> Solver:
    """The solver object of a target, of the class that knows its parameters if there is one."""
    solver = _CLASS_OF.get(view.id.lower(), Solver)
    return solver(
        workspace,
        name=view.id,
        provider_id=view.provider_id,
        average_queue_time=view.average_queue_time,
        current_availability=view.current_availability,
    )


def json_value(name: str, value: Any) -> Any:
    """A parameter's value as JSON: NumPy numbers and arrays become numbers and lists.

    Raises WrongType, and InvalidValue for a number that is not finite.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidValue(f"parameter `{name}`: must be finite, found {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): json_value(f"{name}.{key}", member) for key, member in value.items()}
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return json_value(name, value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [json_value(f"{name}[{i}]", member) for i, member in enumerate(value)]
    raise WrongType(f"parameter `{name}`: must be a JSON value, found {type(value).__name__}")


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _source(problem: Problem | str | bytes, compress: bool) -> tuple[str | None, bytes | None, str]:
    """URI or bytes of a problem, and the name its job gets."""
    if isinstance(problem, str):
        return problem, None, UNNAMED
    if isinstance(problem, bytes):
        return None, _packed(problem, compress), UNNAMED
    if not hasattr(problem, "serialize"):
        raise WrongType(
            f"problem must be a Problem, the URI of an uploaded one or bytes, found {type(problem).__name__}"
        )
    return None, _packed(problem.serialize().encode(), compress), problem.name


def _packed(data: bytes, compress: bool) -> bytes:
    # level 1: on lists of terms a third bigger than the best level, and ten times faster
    return gzip.compress(data, 1, mtime=0) if compress and not data.startswith(b"\x1f\x8b") else data
