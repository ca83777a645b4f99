"""Continuous columns that may as well be integers, such as slack variables, sums and the last end of a schedule.

An equality makes a column an integer if all of its other columns are integers, with coefficients and a bound that are
multiples of the column's own coefficient.

With all other columns at integers, the rows leave a column an interval. If its ends are integers whatever the others
are, then an integer is among its best values. That is so if its bounds are integers or infinite, it occurs in no
product, and each of its rows is as above, or such an inequality.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np

from qiosk.formats.programs.program import Column, Program, Row


def with_implied_integers(program: Program) -> Program:
    """The program with such columns as integers. Each that is found may lead to others."""
    free = {i for i, column in enumerate(program.columns) if not column.is_integer and not column.is_fixed}
    in_products = {*program.rows.tolist(), *program.cols.tolist()}
    in_products |= {i for row in program.constraints for pair in row.products for i in pair}
    rows: dict[int, list[Row]] = defaultdict(list)
    for row in program.constraints:
        for i in free.intersection(row.coefficients):
            rows[i].append(row)
    bounds = [(column.low, column.high) for column in program.columns]
    intervals = {i for i in free - in_products if all(map(_is_whole, bounds[i]))}

    def is_integer(i: int) -> bool:
        good = [row for row in rows[i] if _leaves_integers(row, i, program, free)]
        return any(row.low == row.high for row in good) or (i in intervals and len(good) == len(rows[i]))

    while found := set(filter(is_integer, free)):
        free -= found
    return replace(
        program,
        columns=[
            column if column.is_integer or column.is_fixed or i in free else _as_integer(column)
            for i, column in enumerate(program.columns)
        ],
    )


def _as_integer(column: Column) -> Column:
    return replace(column, low=float(np.ceil(column.low)), high=float(np.floor(column.high)), is_integer=True)


def _leaves_integers(row: Row, column: int, program: Program, free: set[int]) -> bool:
    own = row.coefficients[column]
    others = [(i, c) for i, c in row.coefficients.items() if i != column and c]
    if not own or row.products or any(i in free for i, _ in others):
        return False
    if any(program.columns[i].is_fixed and not program.columns[i].low.is_integer() for i, _ in others):
        return False
    sides = [side for side in (row.low, row.high) if math.isfinite(side)]
    return all(math.fmod(value, own) == 0 for value in (*(c for _, c in others), *sides))


def _is_whole(bound: float) -> bool:
    return math.isinf(bound) or bound.is_integer()
