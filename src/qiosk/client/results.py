"""The results of a job: the dictionary of the old SDK, whose keys are also attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from qiosk.client.details import html_table
from qiosk.errors import UnreadableInput, extra

if TYPE_CHECKING:
    import pandas

_SHOWN = 12
"""Number of variables shown in a notebook."""


class Results(dict[str, Any]):
    """Results as they are on the wire: ``version``, ``configuration``, ``cost``, ``parameters``, ``solutions``.

    A plain dictionary for programs that index it (``results["cost"]``), with its keys as attributes for those that do
    not (``results.cost``). Keys of ``configuration`` are the variables' ids as strings, in ascending order.

    The documents of 1QBit and Toshiba have no cost and no configuration of their own, and ``input_params`` for
    parameters: there the attributes are those of the best solution, its values as numbers.
    """

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name == "parameters" and "input_params" in self:
            return self["input_params"]
        if name in ("cost", "configuration") and self.get("solutions"):
            found = self["solutions"][0][name]
            return {key: int(value) for key, value in found.items()} if name == "configuration" else found
        raise AttributeError(f"results have no member {name!r}: they have {', '.join(self)}")

    def to_frame(self) -> pandas.DataFrame:
        """The solutions as a pandas DataFrame: a row each, best first; ``cost``, then a column per variable id.

        Raises MissingExtra without pandas.
        """
        with extra("pandas", "Results.to_frame()"):
            import pandas
        rows = [
            {"cost": solution["cost"], **{int(key): int(value) for key, value in solution["configuration"].items()}}
            for solution in self.get("solutions") or ()
        ]
        return pandas.DataFrame(rows)

    def _repr_html_(self) -> str:
        configuration = getattr(self, "configuration", None) or {}
        shown = ", ".join(f"{key}: {value}" for key, value in list(configuration.items())[:_SHOWN])
        more = f", … ({len(configuration)} variables)" if len(configuration) > _SHOWN else ""
        rows = [
            ("cost", str(getattr(self, "cost", None))),
            ("configuration", shown + more),
            ("parameters", ", ".join(f"{k}: {v}" for k, v in (getattr(self, "parameters", None) or {}).items())),
            ("solutions", str(len(self.get("solutions") or ()))),
        ]
        return html_table(rows)


def read_results(data: bytes) -> Results:
    """Results from the content of a results blob. Raises UnreadableInput if it is not a JSON object."""
    try:
        return Results(msgspec.json.decode(data, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableInput(f"results must be a JSON object: {error}") from error
