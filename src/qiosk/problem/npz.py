"""Terms from NumPy archives of old programs: a column for each variable of a term, and one for coefficients."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from qiosk.errors import InvalidValue, UnreadableInput
from qiosk.problem.term import Term

INDICES, COEFFICIENTS = ("arr_0", "arr_1"), "arr_2"
"""Names that ``numpy.savez(file, rows, columns, values)`` uses."""


def has_columns(found: Sequence[str], indices: Sequence[str], coefficients: str) -> bool:
    """Whether an archive has exactly these columns."""
    return sorted(found) == sorted([*indices, coefficients])


def read_terms(path: str | PathLike[str], indices: Sequence[str], coefficients: str) -> list[Term]:
    """One term per row. Raises UnreadableInput, and InvalidValue for other columns or values."""
    if not Path(path).is_file():
        raise UnreadableInput(f"npz: there is no file {str(path)!r}")
    try:
        with Path(path).open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise UnreadableInput(f"npz: {str(path)!r} is no archive of arrays")
            names = archive.files
            if not has_columns(names, indices, coefficients):
                wanted = ", ".join([*indices, coefficients])
                raise InvalidValue(f"npz: columns must be {wanted}, found {', '.join(names)}")
            ids = [archive[name] for name in indices]
            values = archive[coefficients]
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        if isinstance(error, InvalidValue | UnreadableInput):
            raise
        raise UnreadableInput(f"npz: {str(path)!r} is no archive of arrays: {error}") from error
    for name, column in zip([*indices, coefficients], [*ids, values], strict=True):
        if column.shape != (values.size,) or column.dtype.kind not in "iuf":
            raise InvalidValue(f"npz: `{name}` must be {values.size} numbers, found {column.dtype} of {column.shape}")
    rows = zip(*(column.astype(np.int64).tolist() for column in ids), strict=True) if ids else ([] for _ in values)
    return [Term(c=float(c), indices=list(row)) for row, c in zip(rows, values.tolist(), strict=True)]
