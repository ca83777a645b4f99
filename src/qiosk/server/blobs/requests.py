"""Parses blob requests: container and blob, query parameters, and the range and the conditions in headers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import parse_qsl
from xml.parsers import expat

from qiosk.contract.http.blobs import check_metadata, is_header_value
from qiosk.errors import InvalidValue
from qiosk.server.blobs.errors import BlobRefusal
from qiosk.service.blobs.locations import split_path, without_account
from qiosk.service.blobs.store import BlobHeaders, BlobProperties, Block, BlockSource

MAX_BLOCKS = 50_000
"""Most blocks of a blob, as in Azure."""
MAX_LIST_BYTES = 8 << 20
"""Largest document of a block list: 50 000 blocks with ids of 64 bytes."""
MAX_ELEMENT_BYTES = 4096
"""Largest element of a block list, and most space before it: ids have at most 88 characters."""
_PIECE_BYTES = 1 << 16  # of a block list, which are parsed at a time
MAX_METADATA_BYTES = 8 << 10
"""Most bytes of names and values of a blob's metadata together, as in Azure."""
_MAX_PARAMETERS = 64
_SOURCES = {source.value: source for source in BlockSource}
_RANGE = re.compile(r"bytes=([0-9]{1,18})?-([0-9]{1,18})?", re.ASCII)
_META = "x-ms-meta-"
_CHECKED = ("x-ms-blob-content-type", "x-ms-blob-content-encoding")
_REFUSED = ("x-ms-copy-source", "x-ms-encryption-key", "x-ms-append-blob-appendpos", "x-ms-page-write")


@dataclass(frozen=True, slots=True)
class Place:
    """The container, and perhaps the blob, of a request, with its query parameters."""

    container: str
    blob: str | None
    query: Sequence[tuple[str, str]]

    def parameter(self, name: str) -> str | None:
        """Value of a query parameter; None if it is missing. Raises BlobRefusal if it is given twice."""
        values = [value for key, value in self.query if key.lower() == name]
        if len(values) > 1:
            raise BlobRefusal(400, "InvalidQueryParameterValue", f"parameter {name!r} is given twice")
        return values[0] if values else None


class Span(NamedTuple):
    """Bytes ``start`` to ``stop``, exclusive."""

    start: int
    stop: int


def read_place(raw_path: bytes, query_string: bytes) -> Place:
    """The place that a request names. Raises BlobRefusal for invalid names and encodings."""
    try:
        path = without_account(raw_path.decode("ascii"))
        fields = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError as error:  # among them UnicodeError
        raise BlobRefusal(400, "InvalidUri", "the address is not percent-encoded UTF-8") from error
    try:
        container, blob = split_path(path, path)
    except InvalidValue as error:
        raise BlobRefusal(400, "InvalidResourceName", error.message) from error
    # A plus sign in base64 becomes a space if the client does not encode it.
    query = [(name, value.replace(" ", "+") if name in ("sig", "blockid") else value) for name, value in fields]
    return Place(container, blob, query)


def read_headers(headers: Mapping[str, str]) -> BlobHeaders:
    """The headers that a request stores with a blob. Raises BlobRefusal."""
    for name in _REFUSED:
        if name in headers:
            raise BlobRefusal(400, "UnsupportedHeader", f"header {name} is not supported")
    kind = headers.get("x-ms-blob-type", "BlockBlob")
    if kind.lower() != "blockblob":
        raise BlobRefusal(400, "InvalidHeaderValue", f"x-ms-blob-type: must be BlockBlob, found {kind!r}")
    for name in _CHECKED:
        if not is_header_value(value := headers.get(name, "")):
            raise BlobRefusal(400, "InvalidHeaderValue", f"{name}: must be printable ASCII, found {value!r}")
    return BlobHeaders(
        content_type=headers.get("x-ms-blob-content-type") or "application/octet-stream",
        content_encoding=headers.get("x-ms-blob-content-encoding") or None,
        metadata=read_metadata(headers),
    )


def read_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """The metadata in a request's headers. Raises BlobRefusal if stores cannot keep it, or if it is too large."""
    metadata = {name[len(_META) :]: value for name, value in headers.items() if name.startswith(_META)}
    if "" in metadata:
        raise BlobRefusal(400, "EmptyMetadataKey", "a name of metadata is empty")
    try:
        check_metadata(metadata)
    except InvalidValue as error:
        raise BlobRefusal(400, "InvalidMetadata", error.message) from error
    if sum(len(name) + len(value) for name, value in metadata.items()) > MAX_METADATA_BYTES:
        raise BlobRefusal(400, "MetadataTooLarge", f"metadata: at most {MAX_METADATA_BYTES} bytes are allowed")
    return metadata


def read_span(headers: Mapping[str, str], size: int) -> Span | None:
    """The requested range of bytes; None means all. Anything but a single range is ignored, as HTTP requires.

    Raises BlobRefusal for a range that begins after the end.
    """
    match = _RANGE.fullmatch((headers.get("x-ms-range") or headers.get("range") or "").strip())
    if match is None or match.groups() == (None, None):
        return None
    first, last = match.groups()
    if first is None:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), size if last is None else min(size, int(last) + 1)
        if last is not None and int(last) < start:
            return None
    if start >= size or start >= stop:
        raise BlobRefusal(
            416,
            "InvalidRange",
            f"the range begins after the end of the blob, which has {size} bytes",
            {"Content-Range": f"bytes */{size}"},
        )
    return Span(start, stop)


def check_conditions(headers: Mapping[str, str], blob: BlobProperties | None, *, is_write: bool) -> None:
    """Raise BlobRefusal (304, 409, 412) unless the blob (None: it does not exist) meets a request's conditions."""
    if (wanted := headers.get("if-match")) is not None and not _matches(wanted, blob):
        raise _condition_failed()
    modified = None if blob is None else blob.modified_at.replace(microsecond=0)
    bound = _date(headers.get("if-unmodified-since"))
    if bound is not None and modified is not None and modified > bound:
        raise _condition_failed()
    if (unwanted := headers.get("if-none-match")) is not None:
        if _matches(unwanted, blob):
            if not is_write:
                raise BlobRefusal(304, "ConditionNotMet", "the client has this version of the blob")
            if unwanted.strip() == "*":
                raise BlobRefusal(409, "BlobAlreadyExists", "the blob exists")
            raise _condition_failed()
        return
    bound = _date(headers.get("if-modified-since"))
    if bound is not None and modified is not None and modified <= bound:
        if not is_write:
            raise BlobRefusal(304, "ConditionNotMet", "the blob has not changed since")
        raise _condition_failed()


def has_conditions(headers: Mapping[str, str]) -> bool:
    """Whether a write has conditions on the existing blob, other than ``If-None-Match: *``, which stores check."""
    return (
        any(name in headers for name in ("if-match", "if-modified-since", "if-unmodified-since"))
        or headers.get("if-none-match", "*").strip() != "*"
    )


def may_overwrite(headers: Mapping[str, str]) -> bool:
    """Whether an existing blob may be replaced."""
    return headers.get("if-none-match", "").strip() != "*"


def read_block_list(document: bytes) -> list[Block]:
    """The blocks in a block list. Raises BlobRefusal for an invalid document.

    Its time is linear in the size: the parser, which other threads wait for, gets short pieces of short elements.
    """
    if max(map(len, document.split(b">"))) > MAX_ELEMENT_BYTES:
        raise _bad_list(f"its elements may have {MAX_ELEMENT_BYTES} bytes at most")
    parser = expat.ParserCreate()
    reading = _BlockList()
    parser.buffer_text = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = reading.refuse_doctype
    try:
        for start in range(0, len(document), _PIECE_BYTES):
            parser.Parse(document[start : start + _PIECE_BYTES], False)
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise _bad_list(str(error)) from error
    return reading.blocks


class _BlockList:
    """Collects the blocks of a list: an element ``BlockList`` that contains elements with text."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._depth = 0
        self._source: BlockSource | None = None
        self._text = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if attributes:
            raise _bad_list("its elements may have no attributes")
        self._depth += 1
        if self._depth == 1:
            if tag != "BlockList":
                raise _bad_list("it must be a BlockList")
            return
        if self._depth > 2 or tag not in _SOURCES:
            raise _bad_list("its members must be Latest, Committed or Uncommitted")
        if len(self.blocks) == MAX_BLOCKS:
            raise _bad_list(f"it may have {MAX_BLOCKS} blocks at most")
        self._source, self._text = _SOURCES[tag], ""

    def text(self, text: str) -> None:
        self._text += text
        if len(self._text) > MAX_ELEMENT_BYTES:
            raise _bad_list(f"its elements may have {MAX_ELEMENT_BYTES} bytes at most")

    def end(self, _tag: str) -> None:
        self._depth -= 1
        if self._depth == 1 and self._source is not None:
            self.blocks.append(Block(self._source, self._text.strip()))

    def refuse_doctype(self, *_: object) -> None:
        raise _bad_list("it may not declare a document type")


def _bad_list(reason: str) -> BlobRefusal:
    return BlobRefusal(400, "InvalidXmlDocument", f"block list: {reason}")


def _condition_failed() -> BlobRefusal:
    return BlobRefusal(412, "ConditionNotMet", "the blob does not meet the conditions of the request")


def _matches(wanted: str, blob: BlobProperties | None) -> bool:
    if blob is None:
        return False
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in wanted.split(",")]
    return "*" in tags or blob.etag in tags


def _date(text: str | None) -> datetime | None:
    """An HTTP date; None for anything else, which is ignored as HTTP requires."""
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
