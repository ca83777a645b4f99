"""Problems that are uploaded while they are built, and problems that are already uploaded.

How streaming works. The program's threads collect terms into chunks and put them into a queue. One thread per problem
takes the chunks, writes them as JSON, compresses everything into one gzip stream and uploads that in parts, so the
problem is never in memory as a whole. A semaphore limits the queue to ``QUEUED_CHUNKS``: a program that adds terms
faster than they are uploaded waits. If the upload fails, the thread stores the error, and the program's next call
raises it.

A program may drop a problem without uploading it. A finalizer then puts an error into the queue, which ends the thread
and aborts the upload. For that to work the thread must not refer to the problem, only to the uploader.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from uuid import uuid4

from numpy.typing import ArrayLike

from qiosk.contract.api import BlobUpload, JobsApi
from qiosk.contract.jobs import INPUT_BLOB
from qiosk.errors import Conflict, InvalidValue, MissingSection, QioskError
from qiosk.forks import PerProcess, check_process
from qiosk.formats import registry
from qiosk.formats.qio import writer as qio_writer
from qiosk.model.check import check
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.problem import Problem, Term
from qiosk.problem.columns import TermColumns, checked_arrays
from qiosk.problem.storage import Downloader
from qiosk.problem.term import Number

QUEUED_CHUNKS = 16
"""Chunks of terms that may wait for the upload."""
_CHUNK_TERMS = 1 << 20  # largest chunk of arrays


class HasJobs(Protocol):
    """The part of a workspace that uploads need."""

    @property
    def api(self) -> JobsApi:
        """The workspace's jobs and blobs."""
        ...


class StreamingProblem:
    """A problem that is uploaded while terms are added, so it is never in memory as a whole.

    ``add_term`` and ``add_terms`` may be called from several threads; another thread compresses and uploads. ``upload``
    completes the upload and returns the URI for solvers; ``solver.submit(problem)`` calls it. If a problem is
    garbage-collected before that, its thread ends and its upload is aborted.

    Args:
        workspace: workspace that stores it.
        name: name of the problem.
        terms: first terms. Squared linear combinations cannot be streamed.
        init_config: initial value of every variable for solvers, or None.
        problem_type: ``ising`` or ``pubo``.
        metadata: strings to be stored with the blob.
        upload_terms_threshold: number of terms that are collected before they are compressed.
        upload_size_threshold: number of compressed bytes that are collected before they are uploaded.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import StreamingProblem
    >>> problem = StreamingProblem(Workspace(), name="chain")
    >>> for i in range(1000):
    ...     problem.add_term(c=1, indices=[i, i + 1])
    >>> uri = problem.upload()
    >>> problem.stats["num_terms"]
    1000
    """

    def __init__(
        self,
        workspace: HasJobs,
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
        self._lock = PerProcess(threading.RLock)
        self._pending = TermColumns()
        self._counts = _Counts()
        self._uploader: _Uploader | None = None
        if terms is not None:
            self.add_terms(list(terms))

    @property
    def id(self) -> str:
        """Id of the problem, which is the name of its container."""
        return self._id

    @property
    def stats(self) -> dict[str, Any]:
        """``type``, ``num_terms``, and ``min_``, ``max_`` and ``avg_coupling``: the numbers of variables in a term."""
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

        Waits if too many chunks are queued. Raises InvalidInput, Conflict once the problem is uploaded, and the error
        that stopped the upload.
        """
        with self._lock.get():
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
            for start in range(0, len(columns[0]), _CHUNK_TERMS):
                stop = min(start + _CHUNK_TERMS, len(columns[0]))
                first, last = int(columns[1][start]), int(columns[1][stop])
                chunk = columns[1][start : stop + 1] - first
                self._send(CostFunction(self.problem_type, columns[0][start:stop], chunk, columns[2][first:last]))

    def upload(self, workspace: HasJobs | None = None, *_names: str) -> str:
        """Complete the upload; returns the URI for solvers, also when called again. Raises the upload's error."""
        with self._lock.get():
            if self.uploaded_blob_uri is None:
                self._flush()
                uploader = self._uploader or self._start()
                metadata = {**self.metadata, **{name: str(value) for name, value in self.stats.items()}}
                self.uploaded_blob_uri = uploader.finish(metadata)
            return self.uploaded_blob_uri

    def download(self) -> Problem:
        """The uploaded problem, in memory as a whole."""
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
        # The finalizer holds only the queue: the uploader's error has a traceback that may refer to the problem.
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
    """A thread that compresses chunks into one gzip stream and uploads it in parts.

    In ``chunks``, None is the end, and an error stops the upload. The queue itself is not bounded, since finalizers
    must not wait in ``put``; ``send`` waits for one of ``QUEUED_CHUNKS`` places.
    """

    def __init__(self, upload: BlobUpload, head: bytes, part_size: float) -> None:
        self._upload = upload
        self._head = head
        self._part_size = part_size
        self.chunks: queue.SimpleQueue[CostFunction | QioskError | None] = queue.SimpleQueue()
        self._places = threading.Semaphore(QUEUED_CHUNKS)
        self._failure: BaseException | None = None
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="qiosk-upload", daemon=True)
        self._thread.start()

    def send(self, chunk: CostFunction | None) -> None:
        """Queue a chunk; None is the end. Raises the error that stopped the upload; Conflict in a forked child,
        which has no such thread.
        """
        check_process(self._process)
        while True:
            if self._failure is not None:
                raise self._failure
            if self._places.acquire(timeout=0.1):  # otherwise check again whether the thread failed
                return self.chunks.put(chunk)

    def finish(self, metadata: Mapping[str, str]) -> str:
        """Upload the rest; returns the blob's URI."""
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
    """The name and URI of a problem that is already uploaded. Solvers accept it like any other problem.

    >>> from qiosk import Workspace
    >>> from qiosk.optimization import OnlineProblem, Problem, Term
    >>> workspace = Workspace()
    >>> uri = Problem("two spins", terms=[Term(c=1, indices=[0, 1])]).upload(workspace, "examples", "online")
    >>> problem = OnlineProblem("two spins", uri)
    >>> problem.download(workspace).terms
    [{'c': 1, 'ids': [0, 1]}]
    """

    def __init__(self, name: str, blob_uri: str, **_unused: Any) -> None:
        self.name = name
        self.uploaded_blob_uri = blob_uri

    def download(self, workspace: Downloader) -> Problem:
        """The problem, in memory as a whole. Raises BlobNotFound, InvalidInput."""
        api = workspace.api
        return Problem.from_cost_function(registry.read(api.get_blob(*api.locate(self.uploaded_blob_uri))), self.name)
