"""Reads XML in responses to blob requests."""

from __future__ import annotations

from typing import NoReturn
from xml.etree import ElementTree

from qiosk.errors import UnreadableInput


def read_xml(document: bytes) -> ElementTree.Element:
    """The root of a document.

    Raises UnreadableInput if it is not XML, or declares a document type: entities may expand to any number of bytes.
    """
    try:
        return ElementTree.fromstring(document, ElementTree.XMLParser(target=_Tree()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UnreadableInput(f"reply: is no XML: {error}") from error


class _Tree(ElementTree.TreeBuilder):
    def doctype(self, *_: object) -> NoReturn:
        raise ValueError("it may not declare a document type")
