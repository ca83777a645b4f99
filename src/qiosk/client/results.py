"""The results of a job: the dictionary programs know, with attributes beside its keys."""

from __future__ import annotations

from typing import Any

import msgspec

from qiosk.client.details import html_table
from qiosk.errors import UnreadableInput

_SHOWN = 12
"""Variables shown when results are printed in a notebook."""


class Results(dict[str, Any]):
    """Results as they are on the wire: ``version``, ``configuration``, ``cost``, ``parameters``,
    ``solutions``.

    A plain dictionary for programs that index it (``results["cost"]``), with its keys as attributes for those
    that do not (``results.cost``). Keys of ``configuration`` are the variables' ids as strings, in ascending
    order.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"results have no member {name!r}: they have {', '.join(self)}") from None

    def _repr_html_(self) -> str:
        configuration = self.get("configuration") or {}
        shown = ", ".join(f"{key}: {value}" for key, value in list(configuration.items())[:_SHOWN])
        more = f", … ({len(configuration)} variables)" if len(configuration) > _SHOWN else ""
        rows = [
            ("cost", str(self.get("cost"))),
            ("configuration", shown + more),
            ("parameters", ", ".join(f"{k}: {v}" for k, v in (self.get("parameters") or {}).items())),
            ("solutions", str(len(self.get("solutions") or ()))),
        ]
        return html_table(rows)


def read_results(data: bytes) -> Results:
    """Results from the content of a results blob. Raises UnreadableInput if it is not a JSON object."""
    try:
        return Results(msgspec.json.decode(data, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableInput(f"results must be a JSON object: {error}") from error
