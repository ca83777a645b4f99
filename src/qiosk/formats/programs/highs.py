"""LP and MPS files, read by HiGHS: ``pip install 'qiosk[lp]'``.

HiGHS parses the file; its columns, rows and Hessian are translated here. What it reports as a warning, such as an entry
that it ignored, is an error here: the problem would be another one. What it misreads without a word is checked before,
by the modules ``lp`` and ``mps``. Its objective is constant + c^T x + 1/2 x^T Q x.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from qiosk.errors import UnreadableInput, extra
from qiosk.formats.programs.brackets import Terms
from qiosk.formats.programs.program import Column, Program, Row, distinct, numbered
from qiosk.formats.text.quadratic import check_size
from qiosk.model.cost_function import F64, I64

_SMALLEST = 1e-12  # HiGHS ignores smaller coefficients, with a warning; this is the least that it allows
_PLACE = re.compile(r"\s*--> .*:(\d+):\d+")
_UNNAMED = re.compile(r"HiGHS_R\d+")
_UNSPECIFIC = "Parser error reading"  # with the name of the file, after the message that tells more, if there is one
_HARMLESS = ("appears more than once", "row names cleared")  # coefficients are added; rows get names here


def read_text(data: bytes, form: str) -> str:
    """The text of a file. Raises UnreadableInput."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableInput(f"{form}: not a text in UTF-8: {error}") from error
    if "\x00" in text:
        raise UnreadableInput(f"{form}: not a text: it contains NUL")
    return text


def parse(text: str, form: str, brackets: Mapping[str, Terms] | None = None) -> Program:
    """The program in a text of the format ``form``, ``lp`` or ``mps``. Raises UnreadableInput, MissingExtra.

    ``brackets`` are products in constraints, for which columns with these names stand.
    """
    with extra("lp", f"{form} files"):
        # not `highspy.Highs`: that class installs callbacks, and prints a line to standard output when it does
        highspy: Any = import_module("highspy._core")
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / f"model.{form}", Path(folder) / "log"
        path.write_text(text, "utf-8")
        solver = highspy._Highs()
        for option, value in (
            ("log_to_console", False),
            ("log_file", str(log)),
            ("small_matrix_value", _SMALLEST),
            ("keep_n_rows", 0),
        ):
            solver.setOptionValue(option, value)
        status = solver.readModel(str(path))
        model = solver.getModel()
        solver.setOptionValue("log_file", "")
        messages = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    _check(messages, form, has_failed=status == highspy.HighsStatus.kError)
    return _translated(model, form, highspy, brackets or {})


def _check(messages: Sequence[str], form: str, *, has_failed: bool) -> None:
    """Raises UnreadableInput for an error or a warning of HiGHS."""
    for k, message in enumerate(messages):
        kind, colon, text = message.partition(":")
        if not colon or kind not in ("ERROR", "WARNING") or any(some in text for some in (*_HARMLESS, _UNSPECIFIC)):
            continue
        place = _PLACE.match(messages[k + 1]) if k + 1 < len(messages) else None
        where = f"line {place[1]}: " if place else ""
        raise UnreadableInput(f"{form}: {where}{text.strip()}")
    if has_failed:
        raise UnreadableInput(f"{form}: HiGHS cannot read the file")


def _translated(model: Any, form: str, highspy: Any, brackets: Mapping[str, Terms]) -> Program:
    lp = model.lp_
    check_size(form, lp.num_col_)
    names = list(lp.col_names_) or [f"x{i}" for i in range(lp.num_col_)]
    own = [i for i, name in enumerate(names) if name not in brackets]
    order = [own[k] for k in numbered([names[i] for i in own])]
    columns = list(_columns(lp, names, form, highspy))
    constraints, matrix = _rows(lp, form)
    rows, cols, values = _products(model.hessian_)
    linear = np.array(lp.col_cost_, np.float64)
    for what, some in (("the objective", linear), ("the objective", values), ("the constraints", matrix)):
        if not np.isfinite(some).all():
            raise UnreadableInput(f"{form}: coefficients of {what} must be finite numbers")
    if not np.isfinite(lp.offset_):
        raise UnreadableInput(f"{form}: the constant must be a finite number")
    place = np.full(len(names), -1)
    place[order] = np.arange(len(order))
    return Program(
        form,
        lp.model_name_ or "",
        [columns[i] for i in order],
        lp.sense_ == highspy.ObjSense.kMaximize,
        float(lp.offset_),
        linear[order],
        place[rows],
        place[cols],
        values,
        [_placed(row, names, place, brackets) for row in constraints],
    )


def _placed(row: Row, names: Sequence[str], place: I64, brackets: Mapping[str, Terms]) -> Row:
    """The row over the places of columns, with the products for which columns stand."""
    coefficients = {int(place[i]): c for i, c in row.coefficients.items() if place[i] >= 0 and c}
    factors = [(c, brackets[names[i]]) for i, c in row.coefficients.items() if place[i] < 0]
    if not factors:
        return replace(row, coefficients=coefficients)
    by_name = {name: int(place[i]) for i, name in enumerate(names)}
    return replace(row, coefficients=coefficients, products=products_of(factors, by_name))


def products_of(factors: Sequence[tuple[float, Terms]], place: Mapping[str, int]) -> dict[tuple[int, int], float]:
    """Multiples of products of columns, by the numbers of the columns, added up."""
    products: dict[tuple[int, int], float] = {}
    for factor, terms in factors:
        for one, other, c in terms:
            pair = min(place[one], place[other]), max(place[one], place[other])
            products[pair] = products.get(pair, 0.0) + factor * c
    return {pair: c for pair, c in products.items() if c}


def _columns(lp: Any, names: Sequence[str], form: str, highspy: Any) -> Iterator[Column]:
    kinds = list(lp.integrality_) or [highspy.HighsVarType.kContinuous] * len(names)
    bounds = zip(np.array(lp.col_lower_).tolist(), np.array(lp.col_upper_).tolist(), strict=True)
    for name, kind, (low, high) in zip(names, kinds, bounds, strict=True):
        if kind in (highspy.HighsVarType.kSemiContinuous, highspy.HighsVarType.kSemiInteger):
            raise UnreadableInput(f"{form}: variable `{name}` is semi-continuous, which is not supported")
        is_integer = kind != highspy.HighsVarType.kContinuous
        if is_integer:
            low, high = float(np.ceil(low)), float(np.floor(high))
        if low > high:
            raise UnreadableInput(f"{form}: variable `{name}` has no value between its bounds {low:g} and {high:g}")
        yield Column(name, low, high, is_integer)


def _rows(lp: Any, form: str) -> tuple[list[Row], F64]:
    """The rows, and all of their coefficients."""
    matrix = lp.a_matrix_
    start, index = np.array(matrix.start_, np.int64), np.array(matrix.index_, np.int64)
    values = np.array(matrix.value_, np.float64)
    coefficients: list[dict[int, float]] = [{} for _ in range(lp.num_row_)]
    owners = np.repeat(np.arange(len(start) - 1), np.diff(start))
    for column, row, value in zip(owners.tolist(), index.tolist(), values.tolist(), strict=True):
        coefficients[row][column] = value
    names = _row_names(list(lp.row_names_) or [""] * lp.num_row_)
    bounds = zip(np.array(lp.row_lower_).tolist(), np.array(lp.row_upper_).tolist(), strict=True)
    found = [Row(name, some, low, high) for name, some, (low, high) in zip(names, coefficients, bounds, strict=True)]
    for row in found:
        if row.low > row.high:
            raise UnreadableInput(f"{form}: constraint `{row.name}` cannot hold between {row.low:g} and {row.high:g}")
    return found, values


def _row_names(given: Sequence[str]) -> list[str]:
    """Distinct names; rows without one are called c1, c2, … by their place, as CPLEX does, if no row has that name."""
    is_named = [bool(name) and not _UNNAMED.fullmatch(name) for name in given]
    taken = {name for name, is_so in zip(given, is_named, strict=True) if is_so}
    places = [f"row {k}" if f"c{k}" in taken else f"c{k}" for k in range(1, len(given) + 1)]
    return distinct([name if is_so else place for name, is_so, place in zip(given, is_named, places, strict=True)])


def _products(hessian: Any) -> tuple[I64, I64, F64]:
    """Products of two columns, from the lower triangle of Q: an entry on its diagonal counts half."""
    start, rows = np.array(hessian.start_, np.int64), np.array(hessian.index_, np.int64)
    values = np.array(hessian.value_, np.float64)
    cols = np.repeat(np.arange(len(start) - 1), np.diff(start))
    values = np.where(rows == cols, values / 2, values)
    is_there = values != 0
    return rows[is_there], cols[is_there], values[is_there]
