"""All errors that Qiosk raises on purpose.

::

    QioskError
    ├── InvalidInput (ValueError)          the problem or a parameter is wrong; a job ends Failed, InvalidInputData
    │   ├── RepeatedVariable        AZQ101
    │   ├── MissingSection          AZQ102
    │   ├── WrongType               AZQ103 (also TypeError)
    │   │   └── InvalidCoefficient  AZQ103 (also RuntimeError)
    │   ├── InvalidInitialConfiguration AZQ104
    │   ├── MissingValue            AZQ104 (also KeyError)
    │   ├── UnreadableInput         AZQ105
    │   ├── InvalidFeature          AZQ106
    │   └── InvalidValue            AZQ107
    │       └── NothingToFix        AZQ107 (also RuntimeError)
    ├── InsufficientResources              a job ends Failed, InsufficientResources
    │   ├── NotEnoughMemory         AZQ001 (also MemoryError)
    │   └── TimeoutTooSmall         AZQ002
    ├── InvalidJobDefinition (ValueError)  the job itself is wrong: rejected before anything is stored
    │   ├── ProviderNotFound
    │   ├── InvalidTarget
    │   └── InvalidFilter
    ├── NotFound (LookupError)
    │   ├── JobNotFound
    │   ├── BlobNotFound
    │   ├── SessionNotFound
    │   └── KeyNotFound
    ├── Conflict
    │   ├── JobAlreadyExists
    │   ├── BlobAlreadyExists
    │   ├── BlobChanged
    │   ├── IllegalTransition
    │   ├── SessionAlreadyExists
    │   └── SessionClosed
    ├── InvalidBlockList (ValueError)      unknown blocks in the block list of a blob
    ├── StorageFull                        the disk or the storage account is full
    ├── AccessDenied
    │   ├── Unauthorized                   no credential, an unknown one, or an expired one
    │   └── Forbidden                      a valid credential that does not allow this
    ├── QuotaExceeded                      try again after ``retry_after_s``
    ├── RequestTooLarge                    a request with more bytes than the server accepts
    ├── RequestTimeout                     a request that did not arrive in time
    ├── ServiceUnavailable (RuntimeError)  the server cannot work at the moment; try again later
    │   └── FileDenied (PermissionError)   a file of the home or the storage that this process may not use
    ├── MissingExtra (ImportError)         an optional package is not installed
    ├── JobFailed (RuntimeError)           get_results of a job that has none
    ├── UnreadableCheckpoint               a checkpoint that this version cannot continue; a job starts again
    └── SupervisorUnavailable (RuntimeError)  no supervisor could be started to run the jobs

Messages name the thing, the rule and the value, in lower case and without a final stop:
``term 17: variable id -3 is negative``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar


class QioskError(Exception):
    """Base of all errors that Qiosk raises on purpose.

    ``code`` is the stable, documented category; ``azq`` the number that the old service gave the error, if any;
    ``details`` contains JSON values under any names. All errors have the same constructor, so that they can be pickled
    and sent by a job process.

    >>> import qiosk
    >>> problem = qiosk.Problem("wrong")
    >>> problem.add_term(c=1, indices=[-3])
    >>> try:
    ...     qiosk.solve(problem)
    ... except qiosk.QioskError as error:
    ...     print(error)
    AZQ107: term 0: variable id -3 is negative
    """

    code: ClassVar[str] = "InternalError"
    azq: ClassVar[str | None] = None

    def __init__(self, message: str, /, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)

    def __str__(self) -> str:
        return f"{self.azq}: {self.message}" if self.azq else self.message

    def error_data(self) -> dict[str, str]:
        """The ``errorData`` of a failed job: category and message; the message contains the AZQ number."""
        message = f"_{self.azq} {self.message}" if self.azq else self.message
        return {"code": self.code, "message": message}


def _rebuild(cls: type[QioskError], message: str, details: dict[str, Any]) -> QioskError:
    return cls(message, **details)


class InvalidInput(QioskError, ValueError):
    """The problem or a solver parameter is wrong."""

    code = "InvalidInputData"


class RepeatedVariable(InvalidInput):
    """A variable occurs twice in one Ising term, or twice in one squared linear combination."""

    azq = "AZQ101"


class MissingSection(InvalidInput):
    """A required member is missing: cost_function, type, version, terms, c, ids, params."""

    azq = "AZQ102"


class WrongType(InvalidInput, TypeError):
    """A value has the wrong type."""

    azq = "AZQ103"


class InvalidCoefficient(WrongType, RuntimeError):
    """A term's coefficient is missing or not a number. A RuntimeError too, as programs of the old SDK expect."""


class InvalidInitialConfiguration(InvalidInput):
    """The initial configuration has an unknown variable, a missing one, or a value outside the domain."""

    azq = "AZQ104"


class MissingValue(InvalidInput, KeyError):
    """A configuration gives no value to a variable of the problem. A KeyError too."""

    azq = "AZQ104"


class UnreadableInput(InvalidInput):
    """Bytes that cannot be parsed: JSON syntax, broken gzip, zstd, tar or protobuf."""

    azq = "AZQ105"


class InvalidFeature(InvalidInput):
    """An unknown feature switch."""

    azq = "AZQ106"


class InvalidValue(InvalidInput):
    """A value of the right type that is not allowed: out of range, unknown ``type`` or ``version``."""

    azq = "AZQ107"


class NothingToFix(InvalidValue, RuntimeError):
    """A call to fix variables names none. A RuntimeError too, as programs of the old SDK expect."""


class InsufficientResources(QioskError):
    """The job needs more than this machine or its time limit allows."""

    code = "InsufficientResources"


class NotEnoughMemory(InsufficientResources, MemoryError):
    """The problem needs more memory than the job may use."""

    azq = "AZQ001"


class TimeoutTooSmall(InsufficientResources):
    """A time-out too small for any search."""

    azq = "AZQ002"


class InvalidJobDefinition(QioskError, ValueError):
    """The definition of a job or session is wrong; nothing was stored."""

    code = "InvalidJobDefinition"


class ProviderNotFound(InvalidJobDefinition):
    """There is no such provider."""

    code = "ProviderNotFound"


class InvalidTarget(InvalidJobDefinition):
    """The provider does not offer this target."""

    code = "InvalidTarget"


class InvalidFilter(InvalidJobDefinition):
    """A filter of jobs or sessions is malformed."""

    code = "InvalidFilter"


class NotFound(QioskError, LookupError):
    """The named thing does not exist."""

    code = "NotFound"


class JobNotFound(NotFound):
    """No job of this workspace has this id."""

    code = "JobNotFound"


class BlobNotFound(NotFound):
    """No blob of this name in this container."""

    code = "BlobNotFound"


class SessionNotFound(NotFound):
    """No session of this workspace has this id."""

    code = "SessionNotFound"


class KeyNotFound(NotFound):
    """No API key has this id."""

    code = "KeyNotFound"


class Conflict(QioskError):
    """The request contradicts stored data."""

    code = "Conflict"


class JobAlreadyExists(Conflict):
    """The id belongs to another job, with another definition."""

    code = "JobAlreadyExists"


class BlobAlreadyExists(Conflict):
    """The blob exists and may not be overwritten."""

    code = "BlobAlreadyExists"


class BlobChanged(Conflict):
    """The blob was replaced or deleted while it was being read."""

    code = "BlobChanged"


class IllegalTransition(Conflict):
    """A job or session in this state has no such transition."""

    code = "IllegalTransition"


class SessionAlreadyExists(Conflict):
    """The id belongs to another session, with another definition."""

    code = "SessionAlreadyExists"


class SessionClosed(Conflict):
    """The session has ended and accepts no more jobs."""

    code = "SessionClosed"


class InvalidBlockList(QioskError, ValueError):
    """A block list contains blocks that were not uploaded, or were removed since."""

    code = "InvalidBlockList"


class StorageFull(QioskError):
    """The storage is full; nothing was stored."""

    code = "StorageFull"


class AccessDenied(QioskError):
    """The caller may not do this."""

    code = "AccessDenied"


class Unauthorized(AccessDenied):
    """The request has no credential, or one that is unknown, revoked or expired."""

    code = "Unauthorized"


class Forbidden(AccessDenied):
    """The credential is valid but does not allow this: another workspace, or a change with a read-only key."""

    code = "Forbidden"


class QuotaExceeded(QioskError):
    """The workspace has reached a limit; ``details["retry_after_s"]`` is the time to wait before trying again."""

    code = "QuotaExceeded"

    @property
    def retry_after_s(self) -> int:
        """Seconds after which the request may succeed; 60 if that is unknown."""
        return int(self.details.get("retry_after_s", 60))


class RequestTooLarge(QioskError):
    """A request's body is larger than the server accepts; ``details["max_bytes"]`` is the limit."""

    code = "RequestTooLarge"


class RequestTimeout(QioskError):
    """A request's body did not arrive in time."""

    code = "RequestTimeout"


class ServiceUnavailable(QioskError, RuntimeError):
    """The service cannot be reached, or cannot work at the moment."""

    code = "ServiceUnavailable"


class FileDenied(ServiceUnavailable, PermissionError):
    """A file or folder of a home or a storage that this process may not use. A PermissionError too."""


class MissingExtra(QioskError, ImportError):
    """A package that an extra of Qiosk installs is missing. An ImportError too."""

    code = "MissingExtra"


@contextmanager
def extra(name: str, needed_by: str) -> Iterator[None]:
    """Context for imports from the extra ``name``. Raises MissingExtra, which tells how to install them."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            f"{needed_by}: the extra `{name}` is not installed, try: pip install 'qiosk[{name}]'"
        ) from error


class JobFailed(QioskError, RuntimeError):
    """The job ended without results."""

    code = "JobFailed"


class SupervisorUnavailable(QioskError, RuntimeError):
    """No supervisor runs for this home and none could be started, or the one that runs does not move."""

    code = "SupervisorUnavailable"


class UnreadableCheckpoint(QioskError):
    """Not a checkpoint, or one that this version, or the kernels of this machine, cannot continue."""

    code = "UnreadableCheckpoint"
