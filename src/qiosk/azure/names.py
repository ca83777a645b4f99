"""The modules of ``azure.quantum``, and where their names are in Qiosk."""

from __future__ import annotations

from collections.abc import Mapping

Names = Mapping[str, str]
"""Names in a module, and the module of Qiosk that has the same name."""

_CLIENT = "qiosk.client.solvers"
_PROBLEM = "qiosk.problem"

_JOBS = {"Job": "qiosk.client.job", "JobStatus": "qiosk.contract.jobs"}
_WORKSPACE = {"Workspace": "qiosk.client.workspace"}
_MICROSOFT = dict.fromkeys(
    (
        "ParallelTempering",
        "PopulationAnnealing",
        "QuantumMonteCarlo",
        "SimulatedAnnealing",
        "SubstochasticMonteCarlo",
        "Tabu",
    ),
    _CLIENT,
)
_ONEQBIT = dict.fromkeys(("PathRelinkingSolver", "PticmSolver", "TabuSearch"), _CLIENT)
_TOSHIBA = {"SimulatedBifurcationMachine": _CLIENT}
_BASE = dict.fromkeys(("HardwarePlatform", "RangeSchedule", "Solver"), _CLIENT)
_TERMS = dict.fromkeys(("GroupType", "SlcTerm", "Term"), _PROBLEM)
_PROBLEMS = dict.fromkeys(("ContentType", "Problem", "ProblemType"), _PROBLEM)
_UPLOADED = dict.fromkeys(("OnlineProblem", "StreamingProblem"), "qiosk.client.streaming")
_DETAILS = {
    "ErrorData": "qiosk.contract.jobs",
    "JobDetails": "qiosk.client.details",
    "JobStatus": "qiosk.contract.jobs",
    "QuotaView": "qiosk.contract.quotas",
    "TargetView": "qiosk.contract.jobs",
}
_TARGETS = {"Solver": _CLIENT, **_MICROSOFT, **_ONEQBIT, **_TOSHIBA}


def _asynchronous(names: Names) -> dict[str, str]:
    """The same names in the modules of their asyncio wrappers."""
    homes = {_CLIENT: "qiosk.aio.solvers"}
    same = ("HardwarePlatform", "RangeSchedule")
    return {name: home if name in same else homes.get(home, home) for name, home in names.items()}


_AIO_JOBS = {"Job": "qiosk.aio.job", "JobStatus": "qiosk.contract.jobs"}
_AIO_WORKSPACE = {"Workspace": "qiosk.aio.workspace"}
_AIO_PROBLEM = {**_PROBLEMS, "Problem": "qiosk.aio.problem"}
_AIO_UPLOADED = dict.fromkeys(_UPLOADED, "qiosk.aio.problem")
_AIO_MICROSOFT = _asynchronous(_MICROSOFT)

MODULES: Mapping[str, Names] = {
    "azure.quantum": {**_WORKSPACE, **_JOBS},
    "azure.quantum.version": {"__version__": "qiosk"},
    "azure.quantum.workspace": {**_WORKSPACE, **_JOBS},
    "azure.quantum.job": {"Job": "qiosk.client.job"},
    "azure.quantum.job.job": {**_JOBS, "ContentType": _PROBLEM, "JobDetails": "qiosk.client.details"},
    "azure.quantum.job.base_job": {"ContentType": _PROBLEM, "Job": "qiosk.client.job", **_DETAILS},
    "azure.quantum.job.filtered_job": _JOBS,
    "azure.quantum._client": {},
    "azure.quantum._client.models": _DETAILS,
    "azure.quantum.optimization": {**_PROBLEMS, **_UPLOADED, **_TERMS, **_BASE, **_MICROSOFT},
    "azure.quantum.optimization.problem": {**_PROBLEMS, **_TERMS},
    "azure.quantum.optimization.term": _TERMS,
    "azure.quantum.optimization.streaming_problem": {**_UPLOADED, **_PROBLEMS, **_TERMS},
    "azure.quantum.optimization.online_problem": {**_UPLOADED, **_PROBLEMS},
    "azure.quantum.optimization.solvers": {**_BASE, **_MICROSOFT},
    "azure.quantum.optimization.oneqbit": _ONEQBIT,
    "azure.quantum.optimization.oneqbit.solvers": _ONEQBIT,
    "azure.quantum.optimization.toshiba": _TOSHIBA,
    "azure.quantum.optimization.toshiba.solvers": _TOSHIBA,
    "azure.quantum.target": _TARGETS,
    "azure.quantum.target.target": {"Solver": _CLIENT, "Job": "qiosk.client.job", "ContentType": _PROBLEM},
    "azure.quantum.target.solvers": _BASE,
    "azure.quantum.target.microsoft": {**_MICROSOFT},
    "azure.quantum.target.microsoft.qio": _MICROSOFT,
    "azure.quantum.target.oneqbit": _ONEQBIT,
    "azure.quantum.target.oneqbit.solvers": _ONEQBIT,
    "azure.quantum.target.toshiba": _TOSHIBA,
    "azure.quantum.target.toshiba.solvers": _TOSHIBA,
    "azure.quantum.aio": {**_AIO_WORKSPACE, **_AIO_JOBS},
    "azure.quantum.aio.workspace": _AIO_WORKSPACE,
    "azure.quantum.aio.job": {"Job": "qiosk.aio.job"},
    "azure.quantum.aio.job.job": _AIO_JOBS,
    "azure.quantum.aio.optimization": {
        **_AIO_PROBLEM,
        **_AIO_UPLOADED,
        **_TERMS,
        **_asynchronous(_BASE),
        **_AIO_MICROSOFT,
    },
    "azure.quantum.aio.optimization.problem": _AIO_PROBLEM,
    "azure.quantum.aio.optimization.streaming_problem": _AIO_UPLOADED,
    "azure.quantum.aio.optimization.online_problem": _AIO_UPLOADED,
    "azure.quantum.aio.target": _asynchronous(_TARGETS),
    "azure.quantum.aio.target.target": {"Solver": "qiosk.aio.solvers", "Job": "qiosk.aio.job"},
    "azure.quantum.aio.target.solvers": _asynchronous(_BASE),
    "azure.quantum.aio.target.microsoft": _AIO_MICROSOFT,
    "azure.quantum.aio.target.microsoft.qio": _AIO_MICROSOFT,
    "azure.quantum.aio.target.oneqbit": _asynchronous(_ONEQBIT),
    "azure.quantum.aio.target.toshiba": _asynchronous(_TOSHIBA),
}
"""Every module that programs import, with its names."""

ALIASES: Mapping[str, str] = {
    "BaseJob": "Job",
    "FilteredJob": "Job",
    "Quota": "QuotaView",
    "Target": "Solver",
    "TargetStatus": "TargetView",
    "TermBase": "Term",
}
"""Names of base classes, and the closest class of Qiosk."""
