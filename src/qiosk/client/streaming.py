"""Problems that are uploaded while they are built, and problems that are uploaded already."""

from __future__ import annotations

import queue
import threading
import weakref
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from numpy.typing import ArrayLike

from qiosk.contract.api import BlobUpload
from qiosk.contract.jobs import INPUT_BLOB
from qiosk.errors import Conflict, InvalidValue, MissingSection, QioskError
from qiosk.formats import registry
from qiosk.formats.qio import writer as qio_writer
from qiosk.model.check import check
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.problem import Problem, Term
from qiosk.problem.columns import TermColumns, checked_arrays
from qiosk.problem.term import Number

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace

QUEUED = 16
"""Chunks of terms that may wait for the uploader; whoever adds more waits for it."""
_LARGEST = 1 << 20  # terms in a chunk of arrays


class StreamingProblem:
    """A problem that goes to storage while terms are added, so it is never whole in memory.

    ``add_term`` and ``add_terms`` may be called from several threads; a thread of its own compresses and uploads.
    ``upload`` ends it and returns the URI that solvers take; ``solver.submit(problem)`` does that by itself. A problem
    that nobody refers to any more takes its thread and its unfinished upload with it.

    Args:
        workspace: where it goes.
        name: for people.
        terms: to begin with. Squared linear combinations cannot be streamed.
        init_config: value of every variable where solvers shall start, or None.
        problem_type: ``ising`` or ``pubo``.
        metadata: texts to be stored with the blob.
        upload_terms_threshold: terms that are collected before they are compressed.
        upload_size_threshold: compressed bytes that are collected before they are uploaded.
    """

    def __init__(
        self,
        workspace: Workspace,
        name: str = "Optimization Problem",
        terms: Iterable[Term] | None = None,
        init_config: Mapping[Any, int] | None = None,
        problem_type: ProblemType = ProblemType.ising,
        metadata: Mapping[str, str] | None = None,
        *,
        upload_terms_threshold: int = 1000,
        upload_size_threshold: float = 10e6,
        **_unused: Any,
    ) -> None:
        self.name = name
        self.workspace = workspace
        self.problem_type = ProblemType(problem_type)
        if self.problem_type.is_grouped:
            raise InvalidValue("problem type: squared linear combinations cannot be streamed, take ising or pubo")
        self.init_config = init_config
        self.metadata = dict(metadata or {})
        self.upload_terms_threshold = upload_terms_threshold
        self.upload_size_threshold = upload_size_threshold
        self.uploaded_blob_uri: str | None = None
        self._id = str(uuid4())
        self._lock = threading.RLock()
        self._pending = TermColumns()
        self._counts = _Counts()
        self._uploader: _Uploader | None = None
        if terms is not None:
            self.add_terms(list(terms))

    @property
    def id(self) -> str:
        """Name of the container that the problem is uploaded to."""
        return self._id

    @property
    def stats(self) -> dict[str, Any]:
        """``type``, ``num_terms``, and ``min_``, ``max_`` and ``avg_coupling``: variables in a term."""
        return {"type": str(self.problem_type), **self._counts.members()}

    def add_term(self, c: Number, indices: list[int]) -> None:
        """Add ``c`` times the product of the variables ``indices``. Raises InvalidInput, Conflict once uploaded."""
        self.add_terms([Term(c=c, indices=indices)])

    def add_terms(
        self,
        terms: Iterable[Term] | None = None,
        *,
        coefficients: ArrayLike | None = None,
        ids: ArrayLike | None = None,
        indptr: ArrayLike | None = None,
    ) -> None:
        """Add terms, or arrays as for :meth:`qiosk.optimization.Problem.add_terms`.

        Waits while the upload is behind. Raises InvalidInput, Conflict once the problem is uploaded, and what
        stopped the upload.
        """
        with self._lock:
            if self.uploaded_blob_uri is not None:
                raise Conflict(f"streaming problem {self.name!r}: is uploaded, no term can be added any more")
            if terms is not None:
                for term in terms:
                    self._pending.append(term.c, term.ids)
                    if len(self._pending) >= self.upload_terms_threshold:
                        self._flush()
                return
            if coefficients is None or ids is None:
                raise MissingSection("give `terms`, or `coefficients` and `ids`")
            self._flush()
            columns = checked_arrays(coefficients, ids, indptr)
            for start in range(0, len(columns[0]), _LARGEST):
                stop = min(start + _LARGEST, len(columns[0]))
                first, last = int(columns[1][start]), int(columns[1][stop])
                chunk = columns[1][start : stop + 1] - first
                self._send(CostFunction(self.problem_type, columns[0][start:stop], chunk, columns[2][first:last]))

    def upload(self, workspace: Workspace | None = None, *_names: str) -> str:
        """Upload the rest; returns the URI that solvers take, each time the same. Raises what stopped the upload."""
        with self._lock:
            if self.uploaded_blob_uri is None:
                self._flush()
                uploader = self._uploader or self._start()
                metadata = {**self.metadata, **{name: str(value) for name, value in self.stats.items()}}
                self.uploaded_blob_uri = uploader.finish(metadata)
            return self.uploaded_blob_uri

    def download(self) -> Problem:
        """The problem as it was uploaded, whole in memory."""
        self.upload()
        data = self.workspace.api.get_blob(self._id, INPUT_BLOB)
        return Problem.from_cost_function(registry.read(data), self.name)

    def _flush(self) -> None:
        if len(self._pending):
            coefficients, indptr, ids = self._pending.arrays()
            self._pending.clear()
            self._send(CostFunction(self.problem_type, coefficients, indptr, ids))

    def _send(self, chunk: CostFunction) -> None:
        check(chunk)
        self._counts.add(chunk)
        (self._uploader or self._start()).send(chunk)

    def _start(self) -> _Uploader:
        uploads = self.workspace.api.upload_blob(self._id, INPUT_BLOB)
        head = qio_writer.head(self.problem_type, self.init_config)
        self._uploader = _Uploader(uploads, head, self.upload_size_threshold)
        # the queue alone: through the uploader's failure and its traceback, the problem would be kept by itself
        dropped = Conflict(f"streaming problem {self.name!r}: was dropped before it was uploaded")
        weakref.finalize(self, self._uploader.chunks.put, dropped).atexit = False
        return self._uploader


class _Counts:
    def __init__(self) -> None:
        self.terms = self.couplings = self.largest = 0
        self.smallest: int | None = None

    def add(self, chunk: CostFunction) -> None:
        degrees = chunk.indptr[1:] - chunk.indptr[:-1]
        self.terms += len(degrees)
        self.couplings += int(chunk.indptr[-1])
        self.largest = max(self.largest, int(degrees.max(initial=0)))
        smallest = int(degrees.min(initial=2**63 - 1))
        self.smallest = smallest if self.smallest is None else min(self.smallest, smallest)

    def members(self) -> dict[str, Any]:
        return {
            "num_terms": self.terms,
            "max_coupling": self.largest,
            "min_coupling": 2**63 - 1 if self.smallest is None else self.smallest,
            "avg_coupling": self.couplings / self.terms if self.terms else 0,
        }


class _Uploader:
    """A thread that turns chunks into one gzip stream and uploads it in parts.

    ``chunks`` takes what comes next; None is the end, and an error stops the upload. It has no bound, and a ``put``
    that finalizers may use; whoever sends chunks waits for one of ``QUEUED`` places.
    """

    def __init__(self, upload: BlobUpload, head: bytes, part_size: float) -> None:
        self._upload = upload
        self._head = head
        self._part_size = part_size
        self.chunks: queue.SimpleQueue[CostFunction | QioskError | None] = queue.SimpleQueue()
        self._places = threading.Semaphore(QUEUED)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="qiosk-upload", daemon=True)
        self._thread.start()

    def send(self, chunk: CostFunction | None) -> None:
        """Hand over a chunk; None is the end. Raises what stopped the upload."""
        while True:
            if self._failure is not None:
                raise self._failure
            if self._places.acquire(timeout=0.1):  # else look whether the thread has failed
                return self.chunks.put(chunk)

    def finish(self, metadata: Mapping[str, str]) -> str:
        """Upload the rest; the blob's URI."""
        self.send(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._upload.commit(metadata)

    def _run(self) -> None:
        try:
            self._pump()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that adds terms
            self._failure = error
            self._upload.abort()

    def _pump(self) -> None:
        stream = zlib.compressobj(1, wbits=31)
        part = bytearray(stream.compress(self._head))
        is_first = True
        while (chunk := self.chunks.get()) is not None:
            if isinstance(chunk, QioskError):
                raise chunk
            self._places.release()
            for text in qio_writer.term_texts(chunk.coefficients, chunk.indptr, chunk.ids):
                part += stream.compress((text if is_first else ", " + text).encode())
                is_first = False
                if len(part) >= self._part_size:
                    self._upload.write(bytes(part))
                    part.clear()
        part += stream.compress(qio_writer.TAIL) + stream.flush()
        self._upload.write(bytes(part))


class OnlineProblem:
    """A problem that is uploaded already: its name and URI. Solvers take it like any other."""

    def __init__(self, name: str, blob_uri: str, **_unused: Any) -> None:
        self.name = name
        self.uploaded_blob_uri = blob_uri

    def download(self, workspace: Workspace) -> Problem:
        """The problem, whole in memory. Raises BlobNotFound, InvalidInput."""
        api = workspace.api
        return Problem.from_cost_function(registry.read(api.get_blob(*api.locate(self.uploaded_blob_uri))), self.name)
