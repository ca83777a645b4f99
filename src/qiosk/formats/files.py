"""File formats by name: detects the format of a file, reads and writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from qiosk.contract.jobs import QIO_INPUT_FORMAT
from qiosk.errors import InvalidValue, UnreadableInput
from qiosk.formats import columns, registry
from qiosk.formats.compression import MAX_CONTENT_BYTES, compressed, decompressed, without_suffix
from qiosk.formats.programs import lp, mps, qplib
from qiosk.formats.programs.program import Program
from qiosk.formats.qio import json_codec
from qiosk.formats.text import biqmac, coo, orlib, qubo, rudy, wcnf
from qiosk.model.constraints.hard_constraints import read_hard_constraints, to_metadata
from qiosk.model.constraints.one_hot import ONE_HOT, read_one_hot
from qiosk.model.constraints.slack import read_slack, slack_metadata
from qiosk.model.cost_function import CONSTANT, CostFunction
from qiosk.model.transforms.domain import flattened, to_bits, to_spins

_HEAD_BYTES = 4096  # enough to detect a format


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A file format.

    ``suffixes`` are those of its files, ``head`` matches the beginning of their content. ``to_domain`` converts a cost
    function to spins or bits before it is written; None if the format has both. ``read_program`` reads constraints as
    well, in formats that have them.
    """

    name: str
    suffixes: tuple[str, ...]
    head: re.Pattern[bytes]
    read: Callable[[bytes], CostFunction]
    write: Callable[[CostFunction], bytes]
    to_domain: Callable[[CostFunction], CostFunction] | None = to_bits
    read_program: Callable[[bytes], Program] | None = None


def _head(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.IGNORECASE)


_SPACE = rb"[ \t\r\f\v]*"  # in a line: if it matched line ends, blank lines would match in exponentially many ways
_QIO = _head(rb"\s*\{|(?s:.{257})ustar")  # JSON, or protobuf in a tar archive
_COLUMNS = _head(re.escape(columns.MAGIC))
_WCNF = _head(rb"(" + _SPACE + rb"(c.*)?\n)*(p[ \t]+w?cnf[ \t]|h[ \t]+-?\d)")
_QUBO = _head(rb"(" + _SPACE + rb"([c#].*)?\n)*p[ \t]+qubo[ \t]")
_COO = _head(rb"(\s*#.*\n)*\s*#\s*vartype")
_QPLIB = _head(
    rb"([!%#].*\n|" + _SPACE + rb"\n)*\S+.*\n([!%#].*\n)*[ldcq][a-z]{2}\b.*\n([!%#].*\n)*(minimize|maximize)\b"
)
_MPS = _head(rb"(\*.*\n|" + _SPACE + rb"\n)*(NAME|ROWS|OBJSENSE)\b")
_LP = _head(rb"(" + _SPACE + rb"(\\.*)?\n)*" + _SPACE + rb"(minimi[sz]e|maximi[sz]e|min|max)\b")
_ORLIB = _head(rb"\s*\d+[ \t]*\r?\n[ \t]*\d+[ \t]+\d+[ \t]*\r?\n")
_EDGE = rb"[ \t]*\d+[ \t]+\d+([ \t]*[-+.\d][-+.\deE]*)?[ \t]*\r?(\n|$)"
_NEVER = _head(rb"(?!)")  # looks like rudy: only a suffix, or a name, tells it
_LOOP = re.compile(rb"^[ \t]*(\d+)[ \t]+\1(?!\d)", re.MULTILINE)
_RUDY = _head(rb"(" + _SPACE + rb"([#%].*)?\n)*\s*\d+[ \t]+\d+[ \t]*\r?\n(" + _EDGE + rb"|\s*$)")
FORMATS = (
    FileFormat("qio", (".json",), _QIO, registry.read_qio, json_codec.write, None),
    FileFormat("columns", (".npz",), _COLUMNS, columns.read, columns.write, None),
    FileFormat("wcnf", (".wcnf", ".cnf"), _WCNF, wcnf.read, wcnf.write),
    FileFormat("qubo", (".qubo",), _QUBO, qubo.read, qubo.write),
    FileFormat("coo", (".coo",), _COO, coo.read, coo.write, None),
    FileFormat("qplib", (".qplib",), _QPLIB, qplib.read, qplib.write, read_program=qplib.read_program),
    FileFormat("mps", (".mps",), _MPS, mps.read, mps.write, read_program=mps.read_program),
    FileFormat("lp", (".lp",), _LP, lp.read, lp.write, read_program=lp.read_program),
    FileFormat("orlib", (".bqp",), _ORLIB, orlib.read, orlib.write),
    FileFormat("biqmac", (".sparse", ".qs"), _NEVER, biqmac.read, biqmac.write),
    FileFormat("rudy", (".rudy", ".rud", ".mc", ".gset"), _RUDY, rudy.read, rudy.write, to_spins),
)
"""All formats, in the order in which content is compared with them."""


def by_name(name: str) -> FileFormat:
    """The format with this name. Raises InvalidValue."""
    for form in FORMATS:
        if form.name == name.lower():
            return form
    raise InvalidValue(f"file format: must be one of {', '.join(form.name for form in FORMATS)}, found {name!r}")


def by_suffix(file: str) -> FileFormat | None:
    """The format of a file by the suffix of its name, before one such as ``.gz``; None for an unknown suffix."""
    suffix = PurePath(without_suffix(file.lower())[0]).suffix
    return next((form for form in FORMATS if suffix in form.suffixes), None)


def by_content(data: bytes) -> FileFormat:
    """The format of a file by the beginning of its content. Raises UnreadableInput."""
    head = data[:_HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")
    for form in FORMATS:
        if form.head.match(head):
            return form
    raise UnreadableInput(
        f"the file's format cannot be detected from its content, name one of {', '.join(f.name for f in FORMATS)}"
    )


def format_of(file: str, content: bytes, form: str | None = None) -> FileFormat:
    """The format ``form``, or else that of the file's suffix, or else that of its content.

    Raises InvalidInput; UnreadableInput also for a graph with an edge from a vertex to itself: it is probably a binary
    quadratic program, which looks the same.
    """
    if form is not None:
        return by_name(form)
    chosen = by_suffix(file) or by_content(content)
    if chosen.name == "rudy" and (loop := _loop(content)) is not None:
        raise UnreadableInput(
            "rudy: a graph has no edge from a vertex to itself; name the format, rudy (max-cut) or"
            f" biqmac (minimize x'Qx over bits), found {loop!r}"
        )
    return chosen


def _loop(content: bytes) -> str | None:
    """The beginning of a line, after the one with the sizes, that begins with the same number twice."""
    data = bytes(content)
    sizes = re.match(rb"(\s*[#%].*\n)*.*\n?", data)
    found = _LOOP.search(data, sizes.end() if sizes else 0)
    return None if found is None else found[0].decode().strip()


def read_file(file: str, data: bytes, form: str | None = None, *, max_size: int = MAX_CONTENT_BYTES) -> CostFunction:
    """The cost function in the content of a file, raw or compressed with gzip, Zstandard or xz.

    ``form`` is the name of its format; by default the suffix of ``file`` or the content determines it. ``max_size``
    limits the decompressed content [bytes]. Raises InvalidInput.
    """
    content = decompressed(data, max_size)
    return format_of(file, content, form).read(content)


def read_program(file: str, data: bytes, form: str | None = None, *, max_size: int = MAX_CONTENT_BYTES) -> Program:
    """As :func:`read_file`, with the constraints of the file. Raises InvalidInput."""
    content = decompressed(data, max_size)
    chosen = format_of(file, content, form)
    if chosen.read_program is None:
        known = ", ".join(form.name for form in FORMATS if form.read_program)
        raise InvalidValue(f"file format: constraints are read from {known}, found {chosen.name!r}")
    return chosen.read_program(content)


class JobInput(NamedTuple):
    """The input of a job: its bytes and the name of their format; the format of the file, and the problem's name."""

    data: bytes
    input_format: str
    file_format: str
    name: str


def job_input(file: str, data: bytes, form: str | None = None, *, max_size: int = MAX_CONTENT_BYTES) -> JobInput:
    """The content of a file in the format ``form``, or its own, as the input of a job.

    QIO documents and columns are returned unchanged; other formats are written as columns. ``max_size`` limits the
    decompressed content [bytes]. Raises InvalidInput, also for a wrong problem in a format that is returned unchanged.
    """
    content = decompressed(data, max_size)
    chosen = format_of(file, content, form)
    input_format = QIO_INPUT_FORMAT if chosen.name == "qio" else columns.NAME
    if chosen.name in ("qio", "columns"):
        name = registry.read(content, input_format, max_size=max_size).name
        return JobInput(data, input_format, chosen.name, name)
    problem = chosen.read(content)
    return JobInput(columns.write(problem), input_format, chosen.name, problem.name)


def destination_format(file: str, form: str | None = None) -> FileFormat:
    """The format in which to write a file: ``form``, or that of its suffix. Raises InvalidValue."""
    chosen = by_name(form) if form is not None else by_suffix(file)
    if chosen is None:
        known = ", ".join(suffix for form in FORMATS for suffix in form.suffixes)
        raise InvalidValue(f"file name: must end in one of {known}, or name a format, found {file!r}")
    return chosen


def write_file(file: str, cost_function: CostFunction, form: str | None = None) -> bytes:
    """The content of a file in the format ``form`` or of its suffix, compressed by a suffix such as ``.gz``.

    Raises InvalidValue, also for a cost function that the format cannot contain.
    """
    content = destination_format(file, form).write(cost_function)
    _, compression = without_suffix(file)
    return content if compression is None else compressed(content, compression)


def renumbered(cost_function: CostFunction) -> CostFunction:
    """The cost function with its variables numbered 0, 1, … in the order of their ids."""
    groups = cost_function.groups
    members = np.where(groups.ids == CONSTANT, CONSTANT, cost_function.group_positions)
    initial = cost_function.initial_configuration
    numbers = {int(v): i for i, v in enumerate(cost_function.variables)}
    return replace(
        cost_function,
        ids=cost_function.positions,
        groups=replace(groups, ids=members),
        initial_configuration=None if initial is None else {numbers[i]: value for i, value in initial.items()},
        metadata=_renumbered(cost_function),
    )


def _renumbered(cost_function: CostFunction) -> Mapping[str, Any]:
    metadata, variables = dict(cost_function.metadata), cost_function.variables
    if (one_hot := read_one_hot(metadata)) is not None:
        metadata[ONE_HOT] = one_hot.numbered(variables).to_metadata()
    if (constraints := read_hard_constraints(metadata, variables)) is not None:
        metadata |= to_metadata(constraints.numbered())
    return metadata | slack_metadata(row.numbered(variables) for row in read_slack(metadata))


def without_constant(cost_function: CostFunction) -> tuple[CostFunction, float]:
    """The cost function without its constant, with groups multiplied out; and the constant."""
    flat = flattened(cost_function)
    is_constant = np.diff(flat.indptr) == 0
    constant = float(flat.coefficients[is_constant].sum())
    keep = ~is_constant
    degrees = np.diff(flat.indptr)[keep]
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(degrees)])
    return replace(flat, coefficients=flat.coefficients[keep], indptr=indptr), constant
