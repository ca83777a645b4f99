"""The input format ``microsoft.qio.v2`` in its JSON form."""

from __future__ import annotations

from typing import Any

import msgspec

from qiosk.errors import UnreadableInput
from qiosk.formats.qio import scanner, writer
from qiosk.formats.qio.document import cost_function_from
from qiosk.model.cost_function import CostFunction


def read(content: bytes) -> CostFunction:
    """The cost function in a document: JSON in UTF-8, not compressed.

    Raises InvalidInput: UnreadableInput (AZQ105) for broken JSON, and for a wrong problem MissingSection (AZQ102),
    WrongType (AZQ103), InvalidValue (AZQ107), RepeatedVariable (AZQ101) or InvalidInitialConfiguration (AZQ104).
    """
    scanned = scanner.read(content) if scanner.is_worthwhile(len(content)) else None
    return cost_function_from(parse_json(content)) if scanned is None else scanned


def write(cost_function: CostFunction) -> bytes:
    """The document of a cost function; ``read`` returns the same cost function."""
    return writer.encode(cost_function)


def parse_json(data: bytes) -> Any:
    """A JSON document as Python objects. Raises UnreadableInput; NaN and Infinity are not JSON."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise UnreadableInput(f"json: {e}") from e
    except RecursionError as e:
        raise UnreadableInput("json: arrays and objects are nested too deeply") from e
