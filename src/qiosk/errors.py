"""Every error raised on purpose.

::

    QioskError
    ├── InvalidInput (ValueError)          the problem or a parameter is wrong: a job ends Failed, InvalidInputData
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
    ├── InvalidJobDefinition (ValueError)  the job itself is wrong: refused before anything is stored
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
    ├── InvalidBlockList (ValueError)      blocks of a blob that were never uploaded
    ├── StorageFull                        the disk, or the account, has no room for a blob
    ├── AccessDenied
    │   ├── Unauthorized                   no credential, or none that is known, or one that has run out
    │   └── Forbidden                      a known credential that does not allow this
    ├── QuotaExceeded                      try again in ``retry_after_s``
    ├── RequestTooLarge                    a request with more bytes than a server takes
    ├── RequestTimeout                     a request that did not arrive in time
    ├── ServiceUnavailable (RuntimeError)  the server cannot do its work for now; asking again makes sense
    ├── MissingExtra (ImportError)         a package is not installed that only some need
    ├── JobFailed (RuntimeError)           get_results on a job that has none
    ├── UnreadableCheckpoint               a saved run that this version cannot continue; it is begun anew
    └── SupervisorUnavailable (RuntimeError)  nobody could be started to run the jobs

Messages name the thing, the rule and the value, in lower case and without a final stop:
``term 17: variable id -3 is negative``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar


class QioskError(Exception):
    """Base of every error raised on purpose.

    ``code`` is the stable, documented category; ``azq`` the service's own number, if it has one; ``details`` holds
    JSON values only, under any names. One constructor for all, so that errors pickle out of a worker process.

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
        """The ``errorData`` of a failed job: category and message, with the AZQ number written into it."""
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
    """No variable was named to be fixed. A RuntimeError too, as programs of the old SDK expect."""


class InsufficientResources(QioskError):
    """The job does not fit this machine or its time limit."""

    code = "InsufficientResources"


class NotEnoughMemory(InsufficientResources, MemoryError):
    """The problem does not fit the memory the job may use."""

    azq = "AZQ001"


class TimeoutTooSmall(InsufficientResources):
    """A time-out that leaves no time for any exploration."""

    azq = "AZQ002"


class InvalidJobDefinition(QioskError, ValueError):
    """The job itself is malformed; nothing was stored."""

    code = "InvalidJobDefinition"


class ProviderNotFound(InvalidJobDefinition):
    """No such provider."""

    code = "ProviderNotFound"


class InvalidTarget(InvalidJobDefinition):
    """The provider does not offer this target."""

    code = "InvalidTarget"


class InvalidFilter(InvalidJobDefinition):
    """A job filter that cannot be understood."""

    code = "InvalidFilter"


class NotFound(QioskError, LookupError):
    """Something that was asked for by name does not exist."""

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
    """The request contradicts what is already stored."""

    code = "Conflict"


class JobAlreadyExists(Conflict):
    """The id belongs to another job, with another definition."""

    code = "JobAlreadyExists"


class BlobAlreadyExists(Conflict):
    """The blob exists and may not be overwritten."""

    code = "BlobAlreadyExists"


class BlobChanged(Conflict):
    """The blob was written anew or deleted while it was being read."""

    code = "BlobChanged"


class IllegalTransition(Conflict):
    """This event cannot happen to a job in this state."""

    code = "IllegalTransition"


class SessionAlreadyExists(Conflict):
    """The id belongs to another session, with another definition."""

    code = "SessionAlreadyExists"


class SessionClosed(Conflict):
    """The session has ended and takes no more jobs."""

    code = "SessionClosed"


class InvalidBlockList(QioskError, ValueError):
    """A list names blocks that were never uploaded, or have been forgotten since."""

    code = "InvalidBlockList"


class StorageFull(QioskError):
    """No room is left for blobs; nothing was stored."""

    code = "StorageFull"


class AccessDenied(QioskError):
    """The caller may not do this."""

    code = "AccessDenied"


class Unauthorized(AccessDenied):
    """No credential was given, or one that is not known, was revoked or has expired."""

    code = "Unauthorized"


class Forbidden(AccessDenied):
    """The credential is known but does not allow this: another workspace, or a change with a read-only key."""

    code = "Forbidden"


class QuotaExceeded(QioskError):
    """The workspace has used up what it may; ``details["retry_after_s"]`` says when asking again makes sense."""

    code = "QuotaExceeded"

    @property
    def retry_after_s(self) -> int:
        """Seconds after which the request may succeed; 60 if nobody can tell."""
        return int(self.details.get("retry_after_s", 60))


class RequestTooLarge(QioskError):
    """A request's body is larger than the server takes; ``details["max_bytes"]`` says how large it may be."""

    code = "RequestTooLarge"


class RequestTimeout(QioskError):
    """A request's body did not arrive in time."""

    code = "RequestTimeout"


class ServiceUnavailable(QioskError, RuntimeError):
    """The service cannot be reached, or cannot do its work for now."""

    code = "ServiceUnavailable"


class MissingExtra(QioskError, ImportError):
    """What was asked for needs a package that comes with an extra of Qiosk. An ImportError too."""

    code = "MissingExtra"


@contextmanager
def extra(name: str, needed_by: str) -> Iterator[None]:
    """Around imports of packages of the extra ``name``. Raises MissingExtra, which says how they are installed."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            f"{needed_by}: the extra `{name}` is not installed, try: pip install 'qiosk[{name}]'"
        ) from error


class JobFailed(QioskError, RuntimeError):
    """Results were asked of a job that ended without them."""

    code = "JobFailed"


class SupervisorUnavailable(QioskError, RuntimeError):
    """No supervisor runs for this home and none could be started."""

    code = "SupervisorUnavailable"


class UnreadableCheckpoint(QioskError):
    """Bytes that are no checkpoint, or one that this version, or this machine's kernels, cannot continue from."""
