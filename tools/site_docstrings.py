"""An extension of Griffe, named in ``mkdocs.yml``: doctests and roles of docstrings become Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"^>>> .*(?:\n.*\S.*)*", re.M)  # to the next blank line
ROLE = re.compile(r":(?:class|meth|func|mod|attr|data|exc):`~?([^`]+)`")


class MarkdownDocstrings(griffe.Extension):
    """Converts the docstring of every object, once."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called when an object and its members have been read."""
        if obj.docstring is not None:
            text = ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = DOCTEST.sub(lambda match: f"```pycon\n{match[0]}\n```", text)
