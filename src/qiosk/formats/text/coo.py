"""Coordinate text as dimod writes it: ``# vartype=SPIN`` (or BINARY), then ``i j value``; ``i i`` is linear.

A comment ``# constant K``, which other readers skip, contains the constant.
"""

from __future__ import annotations

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.formats.text.lines import Lines, shown
from qiosk.formats.text.quadratic import check_size, from_entries, to_entries
from qiosk.formats.text.qubo import constant_of
from qiosk.model.cost_function import CostFunction, ProblemType

_FORM = "coo"
_DOMAINS = {"SPIN": ProblemType.ising, "BINARY": ProblemType.pubo}


def read(data: bytes) -> CostFunction:
    """The cost function of a file, over variables 0..n-1, where n - 1 is the largest that occurs.

    Raises UnreadableInput, naming the line, and if no comment states the domain.
    """
    lines = Lines(data, _FORM, comments=("#",))
    domains = {remark.partition("=")[2].strip() for remark in lines.remarks if remark.startswith("vartype")}
    if len(domains) != 1 or not domains <= _DOMAINS.keys():
        found = ", ".join(sorted(domains)) or "none"
        raise UnreadableInput(
            f"coo: one line `# vartype=SPIN` or `# vartype=BINARY` must state the domain, found {found}"
        )
    entries = lines.table(lines.left, "an entry", (3,))
    rows, cols = lines.index_pairs(entries, "a variable", 0, 2**53)
    n = int(max(rows.max(initial=-1), cols.max(initial=-1))) + 1
    check_size(_FORM, n, lines.content)
    domain = _DOMAINS[domains.pop()]
    return from_entries(domain, n, rows, cols, entries[:, 2], constant=constant_of(lines.remarks))


def write(cost_function: CostFunction) -> bytes:
    """The file of a quadratic cost function, in its own domain. Raises InvalidValue for one of higher degree."""
    is_ising = cost_function.problem_type.is_ising
    table = to_entries(cost_function, _FORM, ProblemType.ising if is_ising else ProblemType.pubo)
    text = [f"# vartype={'SPIN' if is_ising else 'BINARY'}"]
    if table.constant:
        text.append(f"# constant {shown(table.constant)}")
    is_needed = table.linear != 0
    is_needed |= np.bincount(np.concatenate([table.rows, table.cols]), minlength=table.n) == 0  # in no other term
    text += [f"{i} {i} {shown(table.linear[i])}" for i in np.flatnonzero(is_needed).tolist()]
    return "\n".join([*text, *(f"{i} {j} {shown(value)}" for i, j, value in table.pairs()), ""]).encode()
