"""The base class of solver objects, which are a target and its parameters, and submit jobs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

from qiosk.client.job import DEFAULT_TIMEOUT_S, Job
from qiosk.client.session import Session
from qiosk.client.solvers.params import NOT_PARAMETERS
from qiosk.client.solvers.provider_formats import format_of
from qiosk.client.solvers.rules import check_params
from qiosk.client.solvers.sources import Source, read_source
from qiosk.contract.jobs import QIO_INPUT_FORMAT, QIO_OUTPUT_FORMAT, SubmitJob, TargetView
from qiosk.contract.plain import plain_value
from qiosk.contract.sessions import JobFailurePolicy
from qiosk.errors import WrongType

if TYPE_CHECKING:
    from qiosk.client.results import Results
    from qiosk.client.workspace import Workspace
    from qiosk.problem import Problem

_log = logging.getLogger(__name__)

PARAMETER_FREE = "-parameterfree"


class HardwarePlatform(Enum):
    """Where a solver runs: always on the CPU. Kept because old programs name it.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import HardwarePlatform, SimulatedAnnealing
    >>> SimulatedAnnealing(Workspace(), platform=HardwarePlatform.CPU).name
    'microsoft.simulatedannealing-parameterfree.cpu'
    """

    CPU = 1
    FPGA = 2


class Solver:
    """A target of a workspace, with parameters: the base of all solver classes, and usable for any other target.

    Args:
        workspace: where jobs are submitted.
        name: target id, such as ``microsoft.tabu.cpu``.
        provider_id: the provider that offers the target.
        input_data_format, output_data_format: names of the formats of the two blobs.
        nested_params: whether parameters are sent as ``{"params": {…}}`` (Microsoft) or flat.
        force_str_params: whether every value is sent as a string.
        params: parameters by name; None leaves a parameter out.
        average_queue_time: seconds a job waits, if known.
        current_availability: ``Available``, ``Degraded`` or ``Unavailable``, if known.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import Problem, Solver, Term
    >>> problem = Problem("two spins", terms=[Term(c=1, indices=[0, 1])])
    >>> solver = Solver(Workspace(), "microsoft.tabu.cpu", params={"sweeps": 10, "seed": 1})
    >>> solver.optimize(problem).cost
    -1.0
    """

    target_names: ClassVar[tuple[str, ...]] = ()
    """Targets of this class."""
    search_parameters: ClassVar[tuple[str, ...]] = ()
    """Parameters of the search; if none of them is given, the parameter-free target is used."""
    auto_parameters: ClassVar[tuple[str, ...]] = ()
    """If one of these parameters is given, the parameter-free target is used."""
    SWEEPS_WARNING: ClassVar[int] = 10_000
    """From this number of sweeps on, ``optimize`` warns about large problems."""
    TIMEOUT_WARNING: ClassVar[float] = 600
    """From this time-out on [s], ``optimize`` warns."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for target in cls.__dict__.get("target_names", ()):
            _CLASS_OF.setdefault(target, cls)

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
        self.name = self.target_for(name, params) if "." in name else target_for(full_id(name), params)
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
        """The target for these parameters: ``name``, or the parameter-free variant of it.

        ``microsoft.simulatedannealing.cpu`` without any of the ``search_parameters``, or with one of the
        ``auto_parameters``, becomes ``microsoft.simulatedannealing-parameterfree.cpu``.
        """
        head, dot, platform = name.rpartition(".")
        if not dot or head.lower().endswith(PARAMETER_FREE):
            return name
        has_search = any(params.get(key) is not None for key in cls.search_parameters)
        has_auto = any(params.get(key) is not None for key in cls.auto_parameters)
        is_free = has_auto or (bool(cls.search_parameters) and not has_search)
        return f"{head}{PARAMETER_FREE}.{platform}" if is_free else name

    @classmethod
    def _own_parameters(cls) -> str:
        """A list of the class's own parameters, for error messages; empty if it has none."""
        found = signature(cls.__init__).parameters if cls is not Solver else ()
        names = [name for name in found if name not in NOT_PARAMETERS]
        return f"; it takes {', '.join(names)}, and others as params={{…}}" if names else ""

    def set_one_param(self, name: str, value: Any) -> None:
        """Set a parameter; None does not change it. Raises WrongType, InvalidValue if it is not allowed."""
        if value is None:
            return
        plain = plain_value(name, value)
        sent = {name: str(plain) if self.force_str_params else plain}
        check_params(self.name, {"params": sent} if self.nested_params else sent)
        self._values.update(sent)

    def set_number_of_solutions(self, number_of_solutions: int) -> None:
        """Set how many distinct solutions the results contain, best first; 1 by default."""
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
            problem: a problem, the URI of an uploaded one, or the bytes of a serialized one (raw, gzip, zstd or xz).
            compress: store the problem as gzip.
            name: name of the job; by default that of the problem.
            tags, priority, metadata: stored with the job.
            session_id: session of the job; by default the one that :meth:`open_session` opened, until it is closed.

        Raises WrongType, InvalidInput, InvalidJobDefinition, SessionNotFound, SessionClosed. Nothing is stored then,
        except on a server: there the problem is uploaded before the job is submitted.
        """
        uri, data, own_name = read_source(problem, compress)
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
            tags=tags if isinstance(tags, str) else tuple(tags),  # type: ignore[arg-type]  # refused where it is checked
            priority=priority,
            metadata=metadata,
            session_id=self.get_latest_session_id() if session_id is None else session_id,
        )
        return self.workspace.submit(command)

    def optimize(self, problem: Source, timeout_secs: float | None = DEFAULT_TIMEOUT_S) -> Results:
        """Submit a job and return its results.

        Raises what ``submit`` and ``Job.get_results`` raise. After a TimeoutError the job continues to run.
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
        """Open a session. Jobs that this solver submits belong to it until it is closed.

        The arguments are those of :class:`Session`. The session that this solver opened before is closed. Raises
        InvalidJobDefinition; SessionAlreadyExists if another session has the id.
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
        """Id of the session for new jobs; None if there is no open one."""
        session = self.latest_session
        return None if session is None or session.is_in_terminal_state() else session.id

    def refresh(self) -> None:
        """Read availability and queue time again. Raises ValueError if the target no longer exists."""
        views = self.workspace.target_views(self.name, self.provider_id)
        if not views:
            raise ValueError(f"target {self.name!r} of provider {self.provider_id!r} is not offered")
        self.current_availability = views[0].current_availability
        self.average_queue_time = views[0].average_queue_time

    def supports_grouped_terms(self) -> bool:
        """Whether the target accepts squared linear combinations: all targets do."""
        return True

    def supports_protobuf(self) -> bool:
        """Whether the target accepts problems as protobuf messages: all targets do."""
        return True

    def check_valid_problem(self, problem: Problem) -> None:
        """Check a problem as the solver would, without submitting it. Raises InvalidInput."""
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
        """A NotImplementedError, since jobs have no price.

        It is returned and not raised, as by the old SDK, so that programs which print estimates continue.
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


_CLASS_OF: dict[str, type[Solver]] = {}
"""The solver class of each target, in lower case. Classes are registered when they are defined, the first one wins."""


def target_for(name: str, params: Mapping[str, Any]) -> str:
    """The target for these parameters; see ``Solver.target_for`` of the class that has the target."""
    return _CLASS_OF.get(name.lower(), Solver).target_for(name, params)


def full_id(name: str) -> str:
    """The target of a solver's short name, the middle part of the target's; other names stay as they are.

    Microsoft's come before those of others.
    """
    middle = name.lower()
    found = [target for target in _CLASS_OF if "." not in name and target.split(".")[1] == middle]
    return min(found, key=lambda target: not target.startswith("microsoft."), default=name)


def solver_for(workspace: Workspace, view: TargetView) -> Solver:
    """A solver object for a target, of the class with its parameters if there is one."""
    return _CLASS_OF.get(view.id.lower(), Solver)(
        workspace,
        name=view.id,
        average_queue_time=view.average_queue_time,
        current_availability=view.current_availability,
        **{**asdict(format_of(view.id)), "provider_id": view.provider_id},
    )
