"""What every solver object is: a target and its parameters; and how it becomes a job."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from qiosk.client.job import DEFAULT_TIMEOUT_S, Job
from qiosk.client.session import Session
from qiosk.client.streaming import OnlineProblem, StreamingProblem
from qiosk.contract.jobs import QIO_INPUT_FORMAT, QIO_OUTPUT_FORMAT, QIO_OUTPUT_FORMAT_V1, SubmitJob
from qiosk.contract.sessions import JobFailurePolicy
from qiosk.errors import InvalidValue, WrongType
from qiosk.formats.compression import compressed, is_compressed

if TYPE_CHECKING:
    from qiosk.client.results import Results
    from qiosk.client.workspace import Workspace
    from qiosk.problem import Problem

Source: TypeAlias = "Problem | StreamingProblem | OnlineProblem | str | bytes"
"""What solvers take: a problem, the URI of an uploaded one, or the bytes of a serialized one."""

_log = logging.getLogger(__name__)

PARAMETER_FREE = "-parameterfree"

UNNAMED = "Optimization problem"
"""Name of a job whose problem has none of its own."""


class HardwarePlatform(Enum):
    """Where a solver runs; programs may still name it, and only the CPU is left."""

    CPU = 1
    FPGA = 2


@dataclass(frozen=True, slots=True)
class Wire:
    """How the jobs of a provider are written."""

    provider_id: str
    output_data_format: str
    nested_params: bool
    force_str_params: bool


MICROSOFT = Wire("Microsoft", QIO_OUTPUT_FORMAT, nested_params=True, force_str_params=False)
ONEQBIT = Wire("1qbit", QIO_OUTPUT_FORMAT_V1, nested_params=False, force_str_params=True)
TOSHIBA = Wire("toshiba", QIO_OUTPUT_FORMAT, nested_params=False, force_str_params=False)


def wire_of(target: str) -> Wire:
    """How jobs of a target are written, by the provider that its name begins with; as Microsoft's unless known."""
    provider = target.partition(".")[0].lower()
    return next((wire for wire in (ONEQBIT, TOSHIBA) if wire.provider_id == provider), MICROSOFT)


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
    freed_by: ClassVar[tuple[str, ...]] = ()
    """Parameters with any of which the parameter-free target is used."""
    SWEEPS_WARNING: ClassVar[int] = 10_000
    """From this number of sweeps on, ``optimize`` warns about large problems."""
    TIMEOUT_WARNING: ClassVar[float] = 600
    """From this time-out on [s], ``optimize`` warns."""

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
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {next(iter(unknown))!r}{self._own_parameters()}")
        if not hasattr(workspace, "submit"):
            raise WrongType(f"workspace: must be a Workspace, found {type(workspace).__name__}")
        params = params or {}
        self.workspace = workspace
        self.name = self.target_for(name, params)
        self.provider_id = provider_id
        self.input_data_format = input_data_format
        self.output_data_format = output_data_format
        self.nested_params = nested_params
        self.force_str_params = force_str_params
        self.average_queue_time = average_queue_time
        self.current_availability = current_availability
        self.latest_session: Session | None = None
        self.params: dict[str, Any] = {"params": {}} if nested_params else {}
        for parameter, value in params.items():
            self.set_one_param(parameter, value)

    @classmethod
    def target_for(cls, name: str, params: Mapping[str, Any]) -> str:
        """The target that these parameters are sent to: ``name``, or its parameter-free twin.

        ``microsoft.simulatedannealing.cpu`` without any parameter in ``tuned_by``, or with one in ``freed_by``, becomes
        ``microsoft.simulatedannealing-parameterfree.cpu``.
        """
        head, dot, platform = name.rpartition(".")
        if not dot or head.lower().endswith(PARAMETER_FREE):
            return name
        is_untuned = bool(cls.tuned_by) and all(params.get(key) is None for key in cls.tuned_by)
        is_freed = any(params.get(key) is not None for key in cls.freed_by)
        return f"{head}{PARAMETER_FREE}.{platform}" if is_untuned or is_freed else name

    @classmethod
    def _own_parameters(cls) -> str:
        """What to say of a class's own parameters; nothing for one that has none."""
        own = list(signature(cls.__init__).parameters)[2:] if cls is not Solver else []
        names = [name for name in own if name not in ("name", "platform", "params", "target", "solver")]
        return f"; it takes {', '.join(names)}, and others as params={{…}}" if names else ""

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
        problem: Source,
        *,
        compress: bool = True,
        name: str | None = None,
        tags: Sequence[str] = (),
        priority: str | None = None,
        metadata: Mapping[str, str] | None = None,
        session_id: str | None = None,
    ) -> Job:
        """Queue a job that solves a problem.

        Args:
            problem: a problem, the URI of an uploaded one, or the bytes of a serialized one (raw, gzip or zstd).
            compress: store the problem as gzip.
            name: of the job; the problem's own by default.
            tags, priority, metadata: kept with the job.
            session_id: a session the job belongs to; by default the one that :meth:`open_session` opened, as long
                as it was not closed.

        Raises WrongType, InvalidInput, InvalidJobDefinition, SessionNotFound, SessionClosed, before anything is stored
        but, on a server, the problem: that goes up before the job.
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
            session_id=self.get_latest_session_id() if session_id is None else session_id,
        )
        return self.workspace.submit(command)

    def optimize(self, problem: Source, timeout_secs: float | None = DEFAULT_TIMEOUT_S) -> Results:
        """Submit a job and return its results.

        Raises what ``submit`` and ``Job.get_results`` raise; after a TimeoutError the job goes on.
        """
        self.check_submission_warnings(problem)
        job = self.submit(problem)
        _log.info("submitted job %s", job.id)
        return job.get_results(timeout_secs=timeout_secs)

    def open_session(
        self,
        id: str | None = None,
        name: str | None = None,
        job_failure_policy: JobFailurePolicy | str | None = None,
        priority: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Session:
        """Open a session, which the jobs that this solver submits join until it is closed.

        The arguments are those of :class:`Session`. One that this solver had opened before is closed. Raises
        InvalidJobDefinition; SessionAlreadyExists if the id is another session's.
        """
        if self.get_latest_session_id() is not None and self.latest_session is not None:
            self.latest_session.close()
        session = Session(
            self.workspace,
            target=self,
            id=id,
            name=name,
            job_failure_policy=job_failure_policy,
            priority=priority,
            tags=tags,
        )
        self.latest_session = session.open()
        return session

    def get_latest_session_id(self) -> str | None:
        """Id of the session that jobs join; None without one, or after it was closed."""
        session = self.latest_session
        return None if session is None or session.is_in_terminal_state() else session.id

    def refresh(self) -> None:
        """Read availability and queue time again. Raises ValueError if the target is gone."""
        views = self.workspace.target_views(self.name, self.provider_id)
        if not views:
            raise ValueError(f"target {self.name!r} of provider {self.provider_id!r} is not offered")
        self.current_availability = views[0].current_availability
        self.average_queue_time = views[0].average_queue_time

    def supports_grouped_terms(self) -> bool:
        """Whether the target takes squared linear combinations: all of them do."""
        return True

    def supports_protobuf(self) -> bool:
        """Whether the target takes problems as protobuf messages: all of them do."""
        return True

    def check_valid_problem(self, problem: Problem) -> None:
        """Check a problem as the solver will, without submitting it. Raises InvalidInput."""
        problem.cost_function()

    def check_submission_warnings(self, problem: Source) -> None:
        """Log a warning if the job may take long: a large problem with many sweeps, or a long time-out."""
        sweeps, timeout = (self._values.get(key) for key in ("sweeps", "timeout"))
        large = hasattr(problem, "is_large") and problem.is_large()
        if large and isinstance(sweeps, int) and sweeps >= self.SWEEPS_WARNING:
            _log.warning("a large problem and %d sweeps: this may take long", sweeps)
        if isinstance(timeout, (int, float)) and timeout >= self.TIMEOUT_WARNING:
            _log.warning("a time-out of %s s: this may take long", timeout)

    def estimate_cost(self, input_data: Any, input_params: Mapping[str, Any] | None = None) -> NotImplementedError:
        """An error that says that jobs have no price.

        Returned, not raised, as the old SDK does: programs that print the estimate of each target go on.
        """
        del input_data, input_params
        return NotImplementedError(f"target {self.name!r} has no price")

    @property
    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = self.params["params"] if self.nested_params else self.params
        return values

    def __repr__(self) -> str:
        queue = "" if self.average_queue_time is None else f", avg. queue time={self.average_queue_time} s"
        availability = f", {self.current_availability}" if self.current_availability else ""
        return f'<Target name="{self.name}"{queue}{availability}>'


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


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have a value."""
    return {name: value for name, value in params.items() if value is not None}


def _source(problem: Source, compress: bool) -> tuple[str | None, bytes | None, str]:
    """URI or bytes of a problem, and the name its job gets."""
    if isinstance(problem, str):
        return problem, None, UNNAMED
    if isinstance(problem, bytes):
        return None, _packed(problem, compress), UNNAMED
    if isinstance(problem, StreamingProblem):
        return problem.upload(), None, problem.name
    if isinstance(problem, OnlineProblem):
        return problem.uploaded_blob_uri, None, problem.name
    if not hasattr(problem, "serialize"):
        raise WrongType(
            f"problem must be a Problem, the URI of an uploaded one or bytes, found {type(problem).__name__}"
        )
    return None, problem.to_blob(compress=compress), problem.name


def _packed(data: bytes, compress: bool) -> bytes:
    return compressed(data, "gzip") if compress and not is_compressed(data) else data
