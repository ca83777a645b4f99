"""Templates become pages: Jinja2, with all texts escaped."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final, final

import jinja2

from qiosk.dashboard import units
from qiosk.version import __version__

FOLDER: Final = Path(__file__).parent
STATIC: Final = FOLDER / "static"


@final
class Renderer:
    """Renders templates of the folder ``templates``. ``base_path`` is the path of the public URL."""

    def __init__(self, base_path: str) -> None:
        self._base_path = base_path
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {"link": self.link, "asset": self._asset, "version": __version__}
        self._environment.filters |= {
            "seconds": units.seconds,
            "age": units.age,
            "exact": units.exact,
            "number": units.number,
            "amount": units.amount,
            "size": units.size,
            "percent": units.percent,
        }

    def link(self, path: str) -> str:
        """A path of this server as browsers see it, perhaps behind a proxy."""
        return f"{self._base_path}{path}"

    def render(self, template: str, **context: Any) -> str:
        """The text that a template makes of ``context``."""
        return self._environment.get_template(template).render(context)

    def _asset(self, name: str) -> str:
        """The URL of a static file, which changes with its content."""
        return self.link(f"/ui/static/{name}?v={_mark(name)}")


@cache
def _mark(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
