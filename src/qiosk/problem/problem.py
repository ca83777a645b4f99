"""``Problem``: what programs build, submit and evaluate."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from os import PathLike
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import ArrayLike

from qiosk.errors import (
    BlobAlreadyExists,
    InvalidInitialConfiguration,
    InvalidValue,
    MissingValue,
    NothingToFix,
    WrongType,
)
from qiosk.formats import registry
from qiosk.formats.compression import compressed
from qiosk.formats.qio import json_codec, protobuf_codec, protobuf_writer
from qiosk.model.check import by_id, check, check_finite
from qiosk.model.constraints.hard_constraints import HARD_CONSTRAINTS
from qiosk.model.constraints.one_hot import ONE_HOT, checked_members
from qiosk.model.constraints.slack import SLACK
from qiosk.model.cost import check_domain, evaluate
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.matrix import MatrixForm, matrix_form, terms_from_matrix
from qiosk.model.transforms.fix_variables import fix_variables
from qiosk.problem import npz
from qiosk.problem.collection import TermCollection
from qiosk.problem.columns import as_float, checked_arrays
from qiosk.problem.one_hot import OneHotGroups, penalty_terms
from qiosk.problem.storage import Downloader, Uploader
from qiosk.problem.term import Number, SlcTerm, Term, coefficient

_UNNAMED = "Optimization problem"
_PROMISES = (ONE_HOT, SLACK, HARD_CONSTRAINTS)  # members of the metadata that are checked


class ContentType(StrEnum):
    """Encoding of a serialized problem.

    >>> from qiosk.optimization import ContentType, Problem
    >>> problem = Problem("p", content_type=ContentType.protobuf)
    >>> problem.add_term(1, [0, 1])
    >>> [type(message).__name__ for message in problem.serialize()]
    ['bytes']
    """

    json = "application/json"
    protobuf = "application/x-protobuf"


class Problem(TermCollection):
    """An optimization problem: minimize a sum of terms over spins (-1, 1) or bits (0, 1).

    Args:
        name: a label, which need not be unique.
        terms: ``Term`` and ``SlcTerm`` objects to start with.
        init_config: value of every variable, by id (int or str), from which solvers start; or None.
        problem_type: ``ising`` (-1, 1) or ``pubo`` (0, 1); becomes the grouped type with the first ``SlcTerm``.
        content_type: encoding for ``serialize``, ``to_blob`` and submission: JSON or protobuf.

    Terms are stored by column. Coefficients and ids are converted when terms are added (InvalidCoefficient,
    WrongType); ``cost_function()`` checks the whole problem, and is called before a problem is solved. ``metadata``
    (JSON values by name) is stored with the problem in its JSON form.

    >>> from qiosk.optimization import Problem, ProblemType, Term
    >>> problem = Problem("two bits", problem_type=ProblemType.pubo)
    >>> problem.add_term(c=-2, indices=[0, 1])
    >>> problem.add_terms([Term(c=1, indices=[0]), Term(c=0.5, indices=[1])])
    >>> problem
    Problem('two bits', pubo, 3 terms)
    >>> float(problem.evaluate({0: 1, 1: 1}))
    -0.5
    """

    NUM_TERMS_LARGE: ClassVar[float] = 1e6
    NUM_VARIABLES_LARGE: ClassVar[int] = 2500

    def __init__(
        self,
        name: str | None,
        terms: Iterable[Term | SlcTerm] | None = None,
        init_config: Mapping[Any, int] | None = None,
        problem_type: ProblemType = ProblemType.ising,
        content_type: ContentType = ContentType.json,
    ) -> None:
        self.name = _UNNAMED if name is None else name
        self.init_config = init_config
        self.content_type = ContentType(content_type)
        self.metadata: dict[str, Any] = {}
        self.uploaded_blob_uri: str | None = None
        self._snapshot: tuple[Any, CostFunction] | None = None
        self._is_checked = False
        self._one_hot = OneHotGroups()
        super().__init__(problem_type, terms)

    @classmethod
    def from_arrays(
        cls,
        coefficients: ArrayLike,
        ids: ArrayLike,
        indptr: ArrayLike | None = None,
        *,
        problem_type: ProblemType,
        name: str = _UNNAMED,
        init_config: Mapping[Any, int] | None = None,
    ) -> Problem:
        """A problem from columns: term t is ``coefficients[t]`` times the variables ``ids[indptr[t]:indptr[t + 1]]``.

        Shapes: coefficients (T,), ids (nnz,) and indptr (T + 1,); or ids (T, k) without indptr. Arrays are
        copied. Raises WrongType or InvalidValue.
        """
        problem = cls(name, init_config=init_config, problem_type=problem_type)
        problem._terms.extend(*checked_arrays(coefficients, ids, indptr))
        return problem

    @classmethod
    def from_matrix(
        cls,
        matrix: Any,
        h: ArrayLike | None = None,
        *,
        problem_type: ProblemType,
        name: str = _UNNAMED,
        constant: float = 0.0,
    ) -> Problem:
        """The problem with cost = x^T M x + h^T x + constant, over variables 0..n-1.

        ``matrix`` (n, n) is dense or SciPy sparse; ``h`` (n,). Entries (i, j) and (j, i) are added up, so a symmetric
        Ising matrix contains each coupling twice; give its upper triangle for sum_{i<j} J_ij s_i s_j. Diagonal entries
        are linear terms of bits (x**2 = x) and constants of spins (s**2 = 1). All n variables become variables of the
        problem, also those without a nonzero entry. Raises WrongType or InvalidValue.
        """
        problem = cls(name, problem_type=problem_type)
        problem._terms.extend(*terms_from_matrix(matrix, h, constant, problem.problem_type.is_ising))
        return problem

    def to_matrix(self, *, sparse: bool = False) -> MatrixForm:
        """The problem as ``matrix``, ``h`` and ``constant``, such that cost = x^T M x + h^T x + constant.

        ``matrix`` (n, n) contains each pair once, above the diagonal. It is a NumPy array, or SciPy's ``csr_array`` if
        ``sparse``; ``h`` is (n,). Row k belongs to the k-th id in ascending order. Squared linear combinations are
        multiplied out. Raises InvalidValue for a term of more than two variables, what ``cost_function`` raises, and
        MissingExtra without SciPy.
        """
        return matrix_form(self.cost_function(), is_sparse=sparse)

    @classmethod
    def from_cost_function(cls, cost_function: CostFunction, name: str | None = None) -> Problem:
        """A problem with the terms, name and metadata of a cost function; ``name`` replaces its name."""
        initial = cost_function.initial_configuration
        problem = cls(
            name or cost_function.name or None,
            init_config=None if initial is None else {str(i): value for i, value in initial.items()},
            problem_type=cost_function.problem_type,
        )
        problem.metadata = {key: value for key, value in cost_function.metadata.items() if key != "name"}
        problem._one_hot.read(problem.metadata)
        if problem._one_hot.metadata():
            del problem.metadata[ONE_HOT]
        problem._terms.extend(cost_function.coefficients, cost_function.indptr, cost_function.ids)
        problem._groups.extend(cost_function.groups)
        if len(cost_function.groups):
            problem.problem_type = problem.problem_type.grouped
        return problem

    def cost_function(self) -> CostFunction:
        """A frozen and checked copy of the problem; the same object until the problem changes.

        Raises InvalidInput for negative ids, coefficients that are not finite, a variable that occurs twice in an Ising
        term, and an initial configuration that does not match the variables.
        """
        frozen = self._frozen()
        if not self._is_checked:
            check(frozen)
            self._is_checked = True
        return frozen

    def _frozen(self) -> CostFunction:
        """A frozen copy of the problem, unchecked."""
        initial = dict(self.init_config) if self.init_config else None
        name, metadata = str(self.name), {**self.metadata, **self._one_hot.metadata()}
        key = (self._terms.version, self._groups.version, self.problem_type, initial)
        if self._snapshot is None or self._snapshot[0] != key:
            coefficients, indptr, ids = self._terms.arrays()
            cost_function = CostFunction(
                problem_type=self.problem_type,
                coefficients=coefficients,
                indptr=indptr,
                ids=ids,
                groups=self._groups.arrays(),
                initial_configuration=None if initial is None else _integers(initial),
                name=name,
                metadata=metadata,
            )
            self._snapshot = key, cost_function
            self._is_checked = False
        elif self._snapshot[1].name != name or self._snapshot[1].metadata != metadata:
            # Labels do not change the columns, so the same arrays are used again, and they stay checked.
            before = self._snapshot[1].metadata
            self._is_checked &= all(before.get(name) == metadata.get(name) for name in _PROMISES)
            self._snapshot = key, replace(self._snapshot[1], name=name, metadata=metadata)
        return self._snapshot[1]

    def _finite(self) -> CostFunction:
        """A frozen copy whose coefficients are checked to be finite, and nothing else."""
        frozen = self._frozen()
        check_finite(frozen)
        return frozen

    def serialize(self) -> str | list[bytes]:
        """The problem in the encoding of its ``content_type``: JSON text, or protobuf messages of 1000 terms each.

        A problem with squared linear combinations is always written as JSON, because protobuf cannot contain them.
        Raises InvalidValue if a coefficient is not finite.
        """
        return self.to_proto() if self._is_protobuf else self.to_json()

    def to_json(self) -> str:
        """The problem as the service's JSON. Raises InvalidValue if a coefficient is not finite."""
        return json_codec.write(self._finite()).decode()

    def to_proto(self) -> list[bytes]:
        """The problem as protobuf messages. Raises InvalidValue for groups and coefficients that are not finite."""
        return protobuf_writer.messages(self._finite())

    def to_blob(self, *, compress: bool = True) -> bytes:
        """The bytes that are stored when the problem is submitted.

        JSON, gzipped if ``compress``; or, if ``content_type`` is protobuf, a gzipped archive of messages.
        """
        if self._is_protobuf:
            return protobuf_writer.write(self._finite())
        text = json_codec.write(self._finite())
        return compressed(text, "gzip") if compress else text

    @property
    def _is_protobuf(self) -> bool:
        return self.content_type == ContentType.protobuf and not len(self._groups)

    @classmethod
    def deserialize(
        cls,
        input_problem: str | bytes | Sequence[bytes],
        name: str | None = None,
        content_type: ContentType | None = None,
    ) -> Problem:
        """The problem that ``serialize`` or ``to_blob`` wrote; ``name`` replaces its name.

        A str is JSON; bytes are JSON or an archive of protobuf messages, raw or compressed; a list contains protobuf
        messages. The encoding is detected, so ``content_type`` is not needed. Raises InvalidInput.
        """
        if content_type is not None:
            ContentType(content_type)
        if isinstance(input_problem, list | tuple):
            return cls.from_proto(input_problem, name)
        if not isinstance(input_problem, str | bytes):
            found = type(input_problem).__name__
            raise WrongType(f"a problem is read from str, bytes or a list of messages, found {found}")
        data = input_problem.encode() if isinstance(input_problem, str) else input_problem
        return cls.from_cost_function(registry.read(data), name)

    from_json = deserialize

    @classmethod
    def from_proto(cls, input_problem: Sequence[bytes], name: str | None = None) -> Problem:
        """The problem in protobuf messages; ``name`` replaces its name. Raises InvalidInput."""
        for m, message in enumerate(input_problem):
            if not isinstance(message, bytes):
                raise WrongType(f"message {m} must be bytes, found {type(message).__name__}")
        problem = cls.from_cost_function(protobuf_codec.read_messages(input_problem), name)
        problem.content_type = ContentType.protobuf
        return problem

    @staticmethod
    def is_valid_npz(
        files: Sequence[str], indices_column_names: Sequence[str] = npz.INDICES, c_column_name: str = npz.COEFFICIENTS
    ) -> bool:
        """Whether the columns ``files`` of an archive are those that :meth:`terms_from_npz` needs, and no others."""
        return npz.has_columns(files, indices_column_names, c_column_name)

    @staticmethod
    def terms_from_npz(
        file_path: str | PathLike[str],
        indices_column_names: Sequence[str] = npz.INDICES,
        c_column_name: str = npz.COEFFICIENTS,
    ) -> list[Term]:
        """The terms in a NumPy archive: columns of ids, one for each variable of a term, and of coefficients.

        The default names are those that ``numpy.savez(file, rows, columns, values)`` uses. For many terms,
        :meth:`from_arrays` is faster. Raises UnreadableInput or InvalidValue.
        """
        return npz.read_terms(file_path, indices_column_names, c_column_name)

    def upload(
        self,
        workspace: Uploader,
        container_name: str = "qio-problems",
        blob_name: str = "inputData",
        container_uri: str | None = None,
    ) -> str:
        """Store the problem in a workspace; returns the URI, which can be submitted instead of the problem.

        ``container_uri`` replaces ``container_name``. Uploading the same problem there again returns the same URI.
        Raises BlobAlreadyExists if ``blob_name`` was chosen and is that of another problem.
        """
        if container_uri is not None:
            container_name = unquote(urlsplit(container_uri).path.rstrip("/").rpartition("/")[2])
        try:
            self.uploaded_blob_uri = workspace.upload_problem(self, container_name, blob_name)
        except BlobAlreadyExists:
            if self.uploaded_blob_uri is None:
                raise
            place = workspace.api.locate(self.uploaded_blob_uri)
            if place != (container_name, blob_name) or workspace.api.get_blob(*place) != self.to_blob():
                raise
        return self.uploaded_blob_uri

    def download(self, workspace: Downloader) -> Problem:
        """The problem as it was uploaded. Raises InvalidValue before an upload, BlobNotFound, InvalidInput."""
        if not self.uploaded_blob_uri:
            raise InvalidValue(f"problem {self.name!r}: must be uploaded before it can be downloaded")
        api = workspace.api
        return Problem.deserialize(api.get_blob(*api.locate(self.uploaded_blob_uri)), self.name)

    def evaluate(self, configuration: Mapping[Any, Number]) -> np.float64:
        """Cost of a configuration, keyed by ids (int or str). Ids that do not occur are ignored.

        Raises MissingValue; InvalidValue for a value outside the domain: -1 and 1 of Ising problems, 0 and 1 of others.
        """
        values_by_id = by_id(configuration)
        cost_function = self._finite()
        try:
            values = np.array([values_by_id[i] for i in cost_function.variables.tolist()], np.float64)
        except KeyError as e:
            raise MissingValue(f"the configuration has no value for variable {e.args[0]}") from None
        check_domain(values, cost_function.variables, self.problem_type.is_ising)
        return np.float64(evaluate(cost_function, values.astype(np.int8)))

    def set_fixed_variables(self, fixed_variables: Mapping[Any, Number]) -> Problem:
        """A new problem over the other variables; ``fixed_variables`` is keyed by ids (int or str).

        Terms that become constant are added up in one term at the end. Terms that become 0 are left out, and with them
        variables that occur in no other term. One-hot groups are kept: where a member is set, the others are never
        set; so are hard constraints. Raises NothingToFix if ``fixed_variables`` is empty.
        """
        if not fixed_variables:
            raise NothingToFix("fixed variables are empty, give at least one")
        fixed = {i: float(value) for i, value in by_id(fixed_variables).items()}
        reduced = fix_variables(self._finite(), fixed)
        problem = Problem(self.name, problem_type=self.problem_type, content_type=self.content_type)
        problem._terms.extend(reduced.coefficients, reduced.indptr, reduced.ids)
        problem._groups.extend(reduced.groups)
        problem._one_hot.read(reduced.metadata)
        kept = (HARD_CONSTRAINTS, SLACK)
        problem.metadata = {name: some for name, some in reduced.metadata.items() if name in kept}
        if self.init_config is not None:
            problem.init_config = {i: v for i, v in self.init_config.items() if int(i) not in fixed}
        return problem

    @property
    def one_hot(self) -> tuple[tuple[tuple[int, ...], bool], ...]:
        """The one-hot groups, in the order in which they were added: ids, and whether exactly one of them is set.

        >>> from qiosk.optimization import Problem, ProblemType
        >>> problem = Problem("colour", problem_type=ProblemType.pubo)
        >>> problem.add_one_hot([0, 1, 2], penalty=4)
        >>> problem.one_hot
        (((0, 1, 2), True),)
        """
        return self._one_hot.groups()

    def add_one_hot(self, ids: Iterable[int], *, at_most: bool = False, penalty: Number | None = None) -> None:
        """Promise that exactly one of some variables is set; or at most one.

        Set is 1 for bits and +1 for spins. Annealing, tempering, population annealing and tabu search then visit only
        configurations that keep the groups: they change which variable of a group is set, and swap rows where groups
        cross each other as the rows and columns of an assignment. Other solvers, and other programs, read an ordinary
        problem: they keep groups by penalty terms only.

        Args:
            ids: the variables, at least one, all different.
            at_most: whether none of them may be set, too.
            penalty: adds the terms of ``penalty`` times the squared excess: of bits (sum - 1)**2, or the products of
                all pairs if ``at_most``. None: the problem has its own penalty terms, or needs none.

        The groups are stored in the member ``one_hot`` of the problem's metadata. Raises WrongType, InvalidValue; and,
        when the problem is solved, InvalidValue for a variable that is in no term.

        >>> from qiosk.optimization import Problem, ProblemType
        >>> problem = Problem("colour", problem_type=ProblemType.pubo)
        >>> problem.add_one_hot([0, 1, 2], penalty=4)
        >>> float(problem.evaluate({0: 1, 1: 1, 2: 0}))
        4.0
        """
        members = checked_members(f"one-hot group {len(self._one_hot)}", ids, can_be_empty=False)
        if penalty is not None:
            indices, coefficients = penalty_terms(members, at_most, as_float(coefficient(penalty)), self.problem_type)
            self.add_terms([Term(c=c, indices=some) for some, c in zip(indices, coefficients, strict=True)])
        self._one_hot.append(members, is_exact=not at_most)

    def is_large(self) -> bool:
        """Whether there are at least ``NUM_TERMS_LARGE`` terms and ``NUM_VARIABLES_LARGE`` variables."""
        if len(self._terms) + len(self._groups) < self.NUM_TERMS_LARGE:
            return False
        return len(self._frozen().variables) >= self.NUM_VARIABLES_LARGE

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_snapshot": None}

    def __repr__(self) -> str:
        terms = f"{len(self._terms)} term{'s' * (len(self._terms) != 1)}"
        if len(self._groups):
            terms += f", {len(self._groups)} group{'s' * (len(self._groups) != 1)}"
        return f"Problem({self.name!r}, {self.problem_type}, {terms})"

    def _repr_html_(self) -> str:
        snapshot = self._frozen()
        rows = {
            "type": self.problem_type,
            "variables": len(snapshot.variables),
            "terms": len(self._terms),
            "groups": len(self._groups),
            "locality": int(np.diff(snapshot.indptr).max(initial=2 if len(self._groups) else 0)),
        }
        cells = "".join(f"<tr><th>{label}</th><td>{value}</td></tr>" for label, value in rows.items())
        return f"<table><caption>{html.escape(str(self.name))}</caption>{cells}</table>"


def _integers(configuration: Mapping[Any, Any]) -> dict[int, int]:
    """An initial configuration whose keys and values are integers."""
    integers = {}
    for i, value in configuration.items():
        try:
            variable = int(i)
        except (TypeError, ValueError) as e:
            raise InvalidInitialConfiguration(f"initial configuration: {i!r} is not a variable id") from e
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            found = type(value).__name__
            raise WrongType(f"initial configuration: variable {i} must be an integer, found {found} {value!r}")
        if variable in integers:
            raise InvalidInitialConfiguration(
                f"initial configuration: variable {variable} is given twice, as int and as str"
            )
        integers[variable] = int(value)
    return integers
