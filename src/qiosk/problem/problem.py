"""``Problem``: what programs build, submit and evaluate."""

from __future__ import annotations

import gzip
import html
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from enum import StrEnum
from os import PathLike
from typing import Any, ClassVar, Protocol
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import ArrayLike

from qiosk.errors import (
    InvalidInitialConfiguration,
    InvalidValue,
    MissingSection,
    MissingValue,
    NothingToFix,
    WrongType,
)
from qiosk.formats import registry
from qiosk.formats.qio import json_codec as qio_json
from qiosk.formats.qio import protobuf_codec as qio_protobuf
from qiosk.formats.qio import protobuf_writer as qio_protobuf_writer
from qiosk.model.check import check, check_finite
from qiosk.model.cost import evaluate, evaluate_reals
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.transform import fix_variables
from qiosk.problem import npz
from qiosk.problem.columns import GroupColumns, TermColumns, checked_arrays
from qiosk.problem.matrix import MatrixForm, matrix_form, terms_from_matrix
from qiosk.problem.term import GroupType, Number, SlcTerm, Term
from qiosk.problem.views import GroupsView, TermsView

_UNNAMED = "Optimization problem"


class ContentType(StrEnum):
    """Encoding of a serialized problem."""

    json = "application/json"
    protobuf = "application/x-protobuf"


class Uploader(Protocol):
    """The part of a workspace that ``Problem.upload`` needs."""

    def upload_problem(self, problem: Problem, container_name: str, blob_name: str) -> str:
        """Store a problem; returns its URI."""
        ...


class Blobs(Protocol):
    """Where uploaded problems are read from."""

    def get_blob(self, container: str, name: str) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        ...

    def locate(self, blob_uri: str) -> tuple[str, str]:
        """Container and name of the blob that a URI names. Raises InvalidValue."""
        ...


class Downloader(Protocol):
    """The part of a workspace that ``Problem.download`` needs."""

    @property
    def api(self) -> Blobs:
        """Its blobs."""
        ...


class Problem:
    """An optimization problem: minimize a sum of terms over spins (-1, 1) or bits (0, 1).

    Args:
        name: for people; need not be unique.
        terms: ``Term`` and ``SlcTerm`` objects to begin with.
        init_config: value of every variable, keyed by id (int or str), where solvers shall start; or None.
        problem_type: ``ising`` (-1, 1) or ``pubo`` (0, 1); becomes the grouped type with the first group.
        content_type: encoding for ``serialize``, ``to_blob`` and submission: JSON or protobuf.

    Terms are kept in columns. Coefficients and ids are converted when terms are added (InvalidCoefficient,
    WrongType); whether the whole is a valid problem is checked by ``cost_function()``, that is before it is
    solved. ``metadata`` (JSON values by name) goes with the problem into its JSON form.
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
        self._terms = TermColumns()
        self._groups = GroupColumns()
        self._snapshot: tuple[Any, CostFunction] | None = None
        self._is_checked = False
        self.problem_type = problem_type
        if terms is not None:
            self._add(terms)

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

        ``matrix`` (n, n) is dense or SciPy sparse; ``h`` (n,). Every entry counts: (i, j) and (j, i) add up, so a
        symmetric Ising matrix has each coupling twice; give its upper triangle for sum_{i<j} J_ij s_i s_j. Diagonal
        entries are linear terms of bits (x**2 = x) and constants of spins (s**2 = 1). All n variables are variables of
        the problem, also without a nonzero entry. Raises WrongType or InvalidValue.
        """
        problem = cls(name, problem_type=problem_type)
        problem._terms.extend(*terms_from_matrix(matrix, h, constant, problem.problem_type.is_ising))
        return problem

    def to_matrix(self, *, sparse: bool = False) -> MatrixForm:
        """The problem as ``matrix``, ``h`` and ``constant``, such that cost = x^T M x + h^T x + constant.

        ``matrix`` (n, n) has each pair once, above the diagonal: a NumPy array, or SciPy's ``csr_array`` if
        ``sparse``; ``h`` (n,). Row k is the variable with the k-th id in ascending order. Squared linear
        combinations are multiplied out. Raises InvalidInput: a term of more than two variables (InvalidValue),
        or what ``cost_function`` raises; MissingExtra without SciPy.
        """
        return matrix_form(self.cost_function(), is_sparse=sparse)

    @classmethod
    def from_cost_function(cls, cost_function: CostFunction, name: str | None = None) -> Problem:
        """The problem of a cost function."""
        initial = cost_function.initial_configuration
        problem = cls(
            name or cost_function.name or None,
            init_config=None if initial is None else {str(i): value for i, value in initial.items()},
            problem_type=cost_function.problem_type,
        )
        problem.metadata = {key: value for key, value in cost_function.metadata.items() if key != "name"}
        problem._terms.extend(cost_function.coefficients, cost_function.indptr, cost_function.ids)
        problem._groups.extend(cost_function.groups)
        if len(cost_function.groups):
            problem.problem_type = problem.problem_type.grouped
        return problem

    @property
    def problem_type(self) -> ProblemType:
        """Domain of the variables, and whether there may be groups."""
        return self._problem_type

    @problem_type.setter
    def problem_type(self, value: ProblemType | str) -> None:
        try:
            self._problem_type = ProblemType(value)
        except ValueError as e:
            raise InvalidValue(f"problem type must be one of {', '.join(ProblemType)}, found {value!r}") from e

    @property
    def terms(self) -> MutableSequence[Term]:
        """The terms, as a list that reads and writes the problem's columns."""
        return TermsView(self._terms)

    @terms.setter
    def terms(self, terms: Iterable[Term]) -> None:
        TermsView(self._terms)[:] = list(terms)

    @property
    def terms_slc(self) -> MutableSequence[SlcTerm]:
        """The squared linear combinations, as a list that reads and writes the problem's columns."""
        return GroupsView(self._groups)

    @terms_slc.setter
    def terms_slc(self, groups: Iterable[SlcTerm]) -> None:
        GroupsView(self._groups)[:] = list(groups)

    def add_term(self, c: Number, indices: Sequence[int]) -> None:
        """Add ``c`` times the product of the variables ``indices``. Raises InvalidCoefficient, WrongType."""
        self._terms.append(c, indices)

    def add_terms(
        self,
        terms: Iterable[Term] | None = None,
        term_type: GroupType = GroupType.combination,
        c: Number = 1,
        *,
        coefficients: ArrayLike | None = None,
        ids: ArrayLike | None = None,
        indptr: ArrayLike | None = None,
    ) -> None:
        """Add many terms: as they are, or ``c`` times the square of their sum; or from arrays.

        Give either ``terms``, with ``term_type`` (``combination`` or ``squared_linear_combination``) and the
        latter's ``c``; or arrays as for ``from_arrays``. Raises InvalidInput; what stood before a wrong term
        stays added.
        """
        if terms is None:
            if coefficients is None or ids is None:
                raise MissingSection("give `terms`, or `coefficients` and `ids`")
            self._terms.extend(*checked_arrays(coefficients, ids, indptr))
        elif coefficients is not None or ids is not None or indptr is not None:
            raise InvalidValue("give `terms` or arrays, not both")
        elif GroupType(term_type) is GroupType.combination:
            self._add(terms)
        else:
            self._add_group(SlcTerm(terms, c=c))

    def add_slc_term(self, terms: Iterable[Term] | Iterable[tuple[Number, int | None]], c: Number = 1) -> None:
        """Add a squared linear combination ``c * (sum of terms)**2``.

        ``terms`` are ``Term`` objects of at most one variable, or tuples ``(coefficient, id)`` with id None
        for a constant. The problem type becomes the grouped one. Raises InvalidInput.
        """
        self._add_group(SlcTerm([_member(m, item) for m, item in enumerate(terms)], c=c))

    def _add(self, terms: Iterable[Term | SlcTerm]) -> None:
        for term in terms:
            if isinstance(term, Term):
                self._terms.append(term.c, term.ids)
            elif isinstance(term, SlcTerm):
                self._add_group(term)
            else:
                raise WrongType(f"term {len(self._terms)} must be a Term or SlcTerm, found {type(term).__name__}")

    def _add_group(self, group: SlcTerm) -> None:
        self._groups.append(group)
        self.problem_type = self.problem_type.grouped

    def cost_function(self) -> CostFunction:
        """The problem as it is now, frozen and checked; the same object until the problem changes.

        Raises InvalidInput: negative ids, coefficients that are not finite, a variable twice in an Ising
        term, an initial configuration that does not fit.
        """
        frozen = self._frozen()
        if not self._is_checked:
            check(frozen)
            self._is_checked = True
        return frozen

    def _frozen(self) -> CostFunction:
        """The problem as it is now, unchecked."""
        initial = dict(self.init_config) if self.init_config else None
        metadata = dict(self.metadata)
        key = (self._terms.version, self._groups.version, self.name, self.problem_type, initial, metadata)
        if self._snapshot is None or self._snapshot[0] != key:
            coefficients, indptr, ids = self._terms.arrays()
            cost_function = CostFunction(
                problem_type=self.problem_type,
                coefficients=coefficients,
                indptr=indptr,
                ids=ids,
                groups=self._groups.arrays(),
                initial_configuration=None if initial is None else _integers(initial),
                name=str(self.name),
                metadata=metadata,
            )
            self._snapshot = key, cost_function
            self._is_checked = False
        return self._snapshot[1]

    def _finite(self) -> CostFunction:
        """The problem as it is now, if all coefficients are finite; otherwise unchecked."""
        frozen = self._frozen()
        check_finite(frozen)
        return frozen

    def serialize(self) -> str | list[bytes]:
        """The problem in the encoding of its ``content_type``: JSON text, or protobuf messages of 1000 terms each.

        A problem with squared linear combinations is JSON always, for protobuf has none. Raises InvalidValue if a
        coefficient is not finite.
        """
        return self.to_proto() if self._is_protobuf else self.to_json()

    def to_json(self) -> str:
        """The problem as the service's JSON. Raises InvalidValue if a coefficient is not finite."""
        return qio_json.write(self._finite()).decode()

    def to_proto(self) -> list[bytes]:
        """The problem as protobuf messages. Raises InvalidValue for groups and coefficients that are not finite."""
        return qio_protobuf_writer.messages(self._finite())

    def to_blob(self, *, compress: bool = True) -> bytes:
        """What is stored when the problem is submitted: JSON, gzipped if ``compress``; or an archive of messages."""
        if self._is_protobuf:
            return qio_protobuf_writer.write(self._finite())
        text = self.to_json().encode()
        return gzip.compress(text, 1, mtime=0) if compress else text

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
        """The problem that ``serialize`` or ``to_blob`` wrote; ``name`` replaces the one that it holds.

        A str is JSON, bytes are JSON or an archive of protobuf messages, raw or gzipped, and a list holds protobuf
        messages. ``content_type`` is not needed to tell them apart. Raises InvalidInput.
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
        """The problem in protobuf messages; ``name`` replaces the one that they hold. Raises InvalidInput."""
        for m, message in enumerate(input_problem):
            if not isinstance(message, bytes):
                raise WrongType(f"message {m} must be bytes, found {type(message).__name__}")
        problem = cls.from_cost_function(qio_protobuf.read_messages(input_problem), name)
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

        The default names are those that ``numpy.savez(file, rows, columns, values)`` gives. Many terms are better read
        with :meth:`from_arrays`. Raises UnreadableInput or InvalidValue.
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

        ``container_uri`` names the container by its URI instead.
        """
        if container_uri is not None:
            container_name = unquote(urlsplit(container_uri).path.rstrip("/").rpartition("/")[2])
        self.uploaded_blob_uri = workspace.upload_problem(self, container_name, blob_name)
        return self.uploaded_blob_uri

    def download(self, workspace: Downloader) -> Problem:
        """The problem as it was uploaded. Raises InvalidValue before it was, BlobNotFound, InvalidInput."""
        if not self.uploaded_blob_uri:
            raise InvalidValue(f"problem {self.name!r}: must be uploaded before it can be downloaded")
        api = workspace.api
        return Problem.deserialize(api.get_blob(*api.locate(self.uploaded_blob_uri)), self.name)

    def problem_type_to_grouped(self) -> None:
        """Make the problem's type the one of its domain that allows squared linear combinations."""
        self.problem_type = self.problem_type.grouped

    def check_for_grouped_term(self) -> None:
        """Make the problem's type a grouped one if the problem has squared linear combinations."""
        if len(self._groups):
            self.problem_type_to_grouped()

    def evaluate(self, configuration: Mapping[Any, Number]) -> np.float64:
        """Cost of a configuration, keyed by ids (int or str). Ids that do not occur are ignored.

        Values outside the domain are allowed: the cost is then that of the polynomial. Raises MissingValue.
        """
        values_by_id = {int(i): value for i, value in configuration.items()}
        cost_function = self._finite()
        try:
            values = np.array([values_by_id[i] for i in cost_function.variables.tolist()], np.float64)
        except KeyError as e:
            raise MissingValue(f"the configuration has no value for variable {e.args[0]}") from None
        low = -1 if self.problem_type.is_ising else 0
        if np.all((values == low) | (values == 1)):
            return np.float64(evaluate(cost_function, values.astype(np.int8)))
        return np.float64(evaluate_reals(cost_function, values))

    def set_fixed_variables(self, fixed_variables: Mapping[Any, Number]) -> Problem:
        """A new problem over the other variables; ``fixed_variables`` is keyed by ids (int or str).

        What becomes constant is one term at the end; terms that become 0 go, and with them variables that are
        in no other term. Raises NothingToFix if there are none.
        """
        if not fixed_variables:
            raise NothingToFix("fixed variables are empty, give at least one")
        fixed = {int(i): float(value) for i, value in fixed_variables.items()}
        reduced = fix_variables(self._finite(), fixed)
        problem = Problem(self.name, problem_type=self.problem_type, content_type=self.content_type)
        problem._terms.extend(reduced.coefficients, reduced.indptr, reduced.ids)
        problem._groups.extend(reduced.groups)
        if self.init_config is not None:
            problem.init_config = {i: v for i, v in self.init_config.items() if int(i) not in fixed}
        return problem

    def get_terms(self, id: int) -> list[Term | SlcTerm]:
        """The terms and groups that contain a variable. Raises MissingSection if the problem is empty."""
        if not len(self._terms) and not len(self._groups):
            raise MissingSection("the problem has no terms")
        frozen = self._frozen()
        places = np.searchsorted(frozen.indptr, np.flatnonzero(frozen.ids == id), side="right") - 1
        groups = frozen.groups
        group_places = np.searchsorted(groups.indptr, np.flatnonzero(groups.ids == id), side="right") - 1
        found: list[Term | SlcTerm] = [self.terms[t] for t in np.unique(places).tolist()]
        return found + [self._groups.group(g) for g in np.unique(group_places).tolist()]

    def is_large(self) -> bool:
        """Whether there are at least a million terms over at least 2500 variables."""
        if len(self._terms) + len(self._groups) < self.NUM_TERMS_LARGE:
            return False
        return len(self._frozen().variables) >= self.NUM_VARIABLES_LARGE

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_snapshot": None}

    def __repr__(self) -> str:
        terms = f"{len(self._terms)} terms"
        if len(self._groups):
            terms += f", {len(self._groups)} groups"
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


def _member(m: int, item: Any) -> Term:
    """A member of a group, given as a Term or as a pair of a coefficient and an id or None."""
    if isinstance(item, Term):
        return item
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise InvalidValue(f"member {m} must be a Term or a pair (coefficient, id or None), found {item!r}")
    c, i = item
    return Term(c=c, indices=[] if i is None else [i])


def _integers(configuration: Mapping[Any, Any]) -> dict[int, int]:
    """An initial configuration with integers for keys and values."""
    integers = {}
    for i, value in configuration.items():
        try:
            variable = int(i)
        except (TypeError, ValueError) as e:
            raise InvalidInitialConfiguration(f"initial configuration: {i!r} is not a variable id") from e
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            found = type(value).__name__
            raise WrongType(f"initial configuration: variable {i} must be an integer, found {found} {value!r}")
        integers[variable] = int(value)
    return integers
