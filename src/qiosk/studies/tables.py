"""Rows of studies as tables: columns, CSV, Parquet, data frames of pandas."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from qiosk.errors import InvalidValue, extra
from qiosk.studies.rows import Row

if TYPE_CHECKING:
    import pandas

_PLAIN = (
    "status",
    "stop_reason",
    "cost",
    "bound",
    "gap",
    "best_known",
    "best_known_gap",
    "time_to_best",
    "target_cost",
    "time_to_target",
    "seconds",
    "objective",
    "is_feasible",
)
SUFFIXES = (".csv", ".parquet")


def columns(rows: Sequence[Row]) -> list[str]:
    """The names of the columns: those of every study, and one for each parameter, such as ``parameter_sweeps``."""
    parameters = dict.fromkeys(name for row in rows for name in row.parameters)
    origin = ("problem", "qiosk_version", "processor", "threads")
    return [
        *("instance", "variables", "solver", "target", *(f"parameter_{name}" for name in parameters), "seed"),
        *(*_PLAIN, "violated", "model_status", "job_id", "error", *origin),
    ]


def record(row: Row) -> dict[str, Any]:
    """The values of a row by column, without those of parameters that it does not have."""
    found = {name: getattr(row, name) for name in ("instance", "variables", "solver", "target", "seed", *_PLAIN)}
    origin = row.provenance
    return {
        **found,
        **{f"parameter_{name}": value for name, value in row.parameters.items()},
        "violated": "; ".join(row.violated),
        "model_status": row.model_status,
        "job_id": row.job_id,
        "error": row.error,
        "problem": None if origin is None else origin.problem,
        "qiosk_version": None if origin is None else origin.versions.qiosk,
        "processor": None if origin is None else origin.machine.processor,
        "threads": None if origin is None else origin.machine.threads,
    }


def json_records(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The records of rows as JSON values, with the whole provenance; an infinite time is null."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in record(row).items()
        }
        | {"provenance": to_builtins(row.provenance)}
        for row in rows
    ]


def frame(rows: Sequence[Row]) -> pandas.DataFrame:
    """A data frame of pandas with a row for each trial. Raises MissingExtra without pandas."""
    with extra("pandas", "Study.to_frame()"):
        import pandas
    numbers = [name for name in _PLAIN if name not in ("status", "stop_reason", "is_feasible")]
    found = pandas.DataFrame([record(row) for row in rows], columns=columns(rows))
    return found.astype(dict.fromkeys(numbers, "float64") | {"variables": "Int64", "is_feasible": "boolean"})


def _is_plain(values: Iterable[Any]) -> bool:
    """Whether all values that are given are numbers, or truth values, or texts, so that a column can have one type."""
    given = [value for value in values if not _is_missing(value)]
    return any(
        all(isinstance(value, kind) and not isinstance(value, without) for value in given)
        for kind, without in ((int | float, bool), (bool, ()), (str, ()))
    )


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _as_json(value: Any) -> str | None:
    return None if _is_missing(value) else json.dumps(value)


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write a table as CSV or Parquet, by the suffix of the file's name.

    Raises OSError; InvalidValue for another suffix; MissingExtra for Parquet without pandas and pyarrow.
    """
    if path.suffix.lower() == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns(rows))
            writer.writeheader()
            writer.writerows(record(row) for row in rows)
    elif path.suffix.lower() == ".parquet":
        with extra("parquet", "tables as Parquet"):
            import pyarrow  # noqa: F401 - pandas needs it
        found = frame(rows)
        texts = [name for name in found.columns if name.startswith("parameter_") and not _is_plain(found[name])]
        found.assign(**{name: [_as_json(value) for value in found[name]] for name in texts}).to_parquet(
            path, index=False
        )
    else:
        raise InvalidValue(f"table file: its name must end in one of {', '.join(SUFFIXES)}, found {str(path)!r}")
