"""What blob requests say is read as Azure's clients mean it, and nothing hostile gets through."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.errors import JobFailed, QuotaExceeded, ServiceUnavailable, SupervisorUnavailable
from qiosk.server.blobs.errors import BlobRefusal, as_refusal
from qiosk.server.blobs.replies import decode_marker, encode_marker
from qiosk.server.blobs.requests import (
    MAX_BLOCKS,
    MAX_METADATA_BYTES,
    Span,
    check_conditions,
    has_conditions,
    may_overwrite,
    read_block_list,
    read_headers,
    read_place,
    read_span,
)
from qiosk.service.blobs.store import BlobProperties, Block, BlockSource

TIME = datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC)
BLOB = BlobProperties(name="a", size_bytes=100, etag="tag-1", modified_at=TIME, created_at=TIME)
THEN, BEFORE = "Wed, 04 Mar 2026 05:06:07 GMT", "Wed, 04 Mar 2026 05:06:06 GMT"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (b"/qiosk/c/a", ("c", "a")),
        (b"/c/a", ("c", "a")),
        (b"//qiosk/c/a/b", ("c", "a/b")),
        (b"/qiosk/c", ("c", None)),
        (b"/qiosk/c/", ("c", None)),
        (b"/c", ("c", None)),
        (b"/qiosk/qiosk/a", ("qiosk", "a")),
        (b"/qiosk", ("qiosk", None)),
        (b"/qiosk/c/a%20b%2Fc%25", ("c", "a b/c%")),
        ("/qiosk/c/" + quote("ü…"), ("c", "ü…")),
    ],
)
def test_places(path, place):
    found = read_place(path if isinstance(path, bytes) else path.encode(), b"")
    assert (found.container, found.blob) == place


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"/", "InvalidResourceName"),
        (b"/qiosk/", "InvalidResourceName"),
        (b"/qiosk/c/../d/a", "InvalidResourceName"),
        (b"/qiosk/c/%2e%2e/d", "InvalidResourceName"),
        (b"/qiosk/c/..%2f..%2fetc/passwd", "InvalidResourceName"),
        (b"/qiosk/..%2fc/a", "InvalidResourceName"),
        (b"/qiosk/c//a", "InvalidResourceName"),
        (b"/qiosk/c/a%00", "InvalidResourceName"),
        (b"/qiosk/c/a%0d%0aX", "InvalidResourceName"),
        (b"/qiosk/c/a%5c..%5cb", "InvalidResourceName"),
        (b"/qiosk/.headers/c", "InvalidResourceName"),
        (b"/qiosk/c/%c0%ae%c0%ae/a", "InvalidResourceName"),
        (b"/qiosk/c/%ff", "InvalidResourceName"),
        (b"/qiosk/c/%ed%a0%80", "InvalidResourceName"),
        (b"/qiosk/c/\xff", "InvalidUri"),
    ],
)
def test_places_that_lead_elsewhere_are_refused(path, code):
    with pytest.raises(BlobRefusal) as caught:
        read_place(path, b"")
    assert (caught.value.status, caught.value.code) == (400, code)


@given(path=st.binary(max_size=60), query=st.binary(max_size=60))
def test_any_address_is_read_or_refused(path, query):
    try:
        place = read_place(b"/" + path, query)
    except BlobRefusal as refusal:
        assert refusal.status == 400
        return
    assert ".." not in (place.blob or "").split("/")
    assert "/" not in place.container
    assert not place.container.startswith(".")


def test_parameters_are_decoded_and_unique():
    place = read_place(b"/c/a", b"comp=block&blockid=YW%2Bb+w%3D%3D&Timeout=3&x=")
    assert place.parameter("comp") == "block"
    assert place.parameter("blockid") == "YW+b+w=="
    assert place.parameter("timeout") == "3"
    assert place.parameter("x") == ""
    assert place.parameter("missing") is None
    with pytest.raises(BlobRefusal, match="given twice"):
        read_place(b"/c/a", b"comp=block&comp=list").parameter("comp")
    with pytest.raises(BlobRefusal):
        read_place(b"/c/a", b"&".join([b"a=1"] * 100))


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-33554431", (0, 100)),
        ("bytes=90-", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=99-99", (99, 100)),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
        ("lines=0-1", None),
        ("", None),
    ],
)
def test_ranges(text, span):
    for name in ("range", "x-ms-range"):
        assert read_span({name: text}, 100) == (None if span is None else Span(*span))


@pytest.mark.parametrize(("text", "size"), [("bytes=100-", 100), ("bytes=0-5", 0), ("bytes=-5", 0), ("bytes=-0", 5)])
def test_ranges_behind_the_end_are_refused(text, size):
    with pytest.raises(BlobRefusal) as caught:
        read_span({"x-ms-range": text}, size)
    assert (caught.value.status, caught.value.code) == (416, "InvalidRange")
    assert caught.value.headers == {"Content-Range": f"bytes */{size}"}


@pytest.mark.parametrize(
    ("headers", "reading", "writing"),
    [
        ({}, None, None),
        ({"if-match": '"tag-1"'}, None, None),
        ({"if-match": "tag-1"}, None, None),
        ({"if-match": '"x", "tag-1"'}, None, None),
        ({"if-match": "*"}, None, None),
        ({"if-match": '"x"'}, 412, 412),
        ({"if-none-match": '"tag-1"'}, 304, 412),
        ({"if-none-match": "*"}, 304, 409),
        ({"if-none-match": '"x"'}, None, None),
        ({"if-modified-since": THEN}, 304, 412),
        ({"if-modified-since": BEFORE}, None, None),
        ({"if-unmodified-since": THEN}, None, None),
        ({"if-unmodified-since": BEFORE}, 412, 412),
        ({"if-unmodified-since": "yesterday"}, None, None),
    ],
)
def test_conditions(headers, reading, writing):
    for is_write, expected in ((False, reading), (True, writing)):
        try:
            check_conditions(headers, BLOB, is_write=is_write)
            status = None
        except BlobRefusal as refusal:
            status = refusal.status
        assert status == expected


def test_conditions_without_a_blob():
    check_conditions({"if-none-match": "*"}, None, is_write=True)
    with pytest.raises(BlobRefusal):
        check_conditions({"if-match": "*"}, None, is_write=True)


def test_not_overwriting_is_left_to_the_store():
    assert not has_conditions({"if-none-match": "*"})
    assert not may_overwrite({"if-none-match": "*"})
    assert has_conditions({"if-none-match": '"x"'})
    assert may_overwrite({})


def test_headers_of_a_blob():
    headers = read_headers(
        {
            "content-type": "application/octet-stream",
            "x-ms-blob-content-type": "application/json",
            "x-ms-blob-content-encoding": "",
            "x-ms-meta-num_terms": "3",
        }
    )
    assert (headers.content_type, headers.content_encoding) == ("application/json", None)
    assert headers.metadata == {"num_terms": "3"}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-ms-blob-type": "PageBlob"}, "InvalidHeaderValue"),
        ({"x-ms-copy-source": "http://elsewhere/"}, "UnsupportedHeader"),
        ({"x-ms-blob-content-type": "text/\xfc"}, "InvalidHeaderValue"),
        ({"x-ms-blob-content-type": "text/\x01html"}, "InvalidHeaderValue"),
        ({"x-ms-blob-content-encoding": "\xfc"}, "InvalidHeaderValue"),
        ({"x-ms-meta-": "x"}, "EmptyMetadataKey"),
        ({"x-ms-meta-a": "\xfc"}, "InvalidMetadata"),
        ({"x-ms-meta-1": "x"}, "InvalidMetadata"),
        ({"x-ms-meta-a!": "x"}, "InvalidMetadata"),
        ({"x-ms-meta-a": "x" * MAX_METADATA_BYTES}, "MetadataTooLarge"),
    ],
)
def test_headers_that_cannot_be_honoured_are_refused(headers, code):
    with pytest.raises(BlobRefusal) as caught:
        read_headers(headers)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_a_block_list():
    document = b"""<?xml version='1.0' encoding='utf-8'?>
    <BlockList><Latest>YQ==</Latest> <Committed>Yg==</Committed><Uncommitted>\nYw==\n</Uncommitted></BlockList>"""
    assert read_block_list(document) == [
        Block(BlockSource.LATEST, "YQ=="),
        Block(BlockSource.COMMITTED, "Yg=="),
        Block(BlockSource.UNCOMMITTED, "Yw=="),
    ]
    assert read_block_list(b"<BlockList/>") == []
    many = b"<BlockList>" + b"<Latest>YQ==</Latest>\r\n" * MAX_BLOCKS + b"</BlockList>"
    assert len(read_block_list(many)) == MAX_BLOCKS


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><BlockList><Latest>&b;</Latest></BlockList>'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<BlockList><Latest>YQ==</Latest>",
        b"<Other/>",
        b"<BlockList a='b'><Latest>YQ==</Latest></BlockList>",
        b"<BlockList><Latest a='b'>YQ==</Latest></BlockList>",
        b"<BlockList xmlns='urn:x'/>",
        b"<BlockList " + b" ".join(b"a%d='b'" % n for n in range(500_000)) + b"/>",
        b"<BlockList><Latest " + b" ".join(b"a%d='b'" % n for n in range(500_000)) + b"/></BlockList>",
        "<BlockList ".encode("utf-16") + b"".join(b" \0a\0%d\0=\0'\0'\0" % (n % 10) for n in range(100_000)),
        b"<BlockList><Latest>" + b"a<!---->" * 1_000_000 + b"</Latest></BlockList>",
        b"<BlockList><Latest>" + b"&lt;" * 1_000_000 + b"</Latest></BlockList>",
        b"<BlockList" + b"t" * (8 << 20),
        b"<a>" * 1_000_000,
        b"<BlockList><Oldest>YQ==</Oldest></BlockList>",
        b"<BlockList><Latest><Latest>YQ==</Latest></Latest></BlockList>",
        BOMB.encode(),
        BOMB.encode("utf-16"),
        b"<?xml version='1.0' encoding='no-such'?><BlockList/>",
        b"<BlockList>" + b"<Latest>YQ==</Latest>" * (MAX_BLOCKS + 1) + b"</BlockList>",
        b"<a>" * 100_000,
    ],
    ids=range(21),
)
def test_what_is_no_block_list_is_refused(document):
    with pytest.raises(BlobRefusal) as caught:
        read_block_list(document)
    assert (caught.value.status, caught.value.code) == (400, "InvalidXmlDocument")


@given(st.binary(max_size=200))
def test_any_document_is_read_or_refused(document):
    try:
        read_block_list(document)
    except BlobRefusal as refusal:
        assert refusal.code == "InvalidXmlDocument"


@given(st.text(min_size=1))
def test_markers_come_back(name):
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    assert decode_marker(encode_marker(name)) == name


def test_no_marker():
    assert decode_marker("") is decode_marker(None) is None
    for wrong in ("!", "YQ", "/w=="):
        with pytest.raises(BlobRefusal):
            decode_marker(wrong)


@pytest.mark.parametrize(
    ("error", "status", "code", "is_logged"),
    [
        (QuotaExceeded("too many bytes"), 403, "QuotaExceeded", False),
        (ServiceUnavailable("the database db.example cannot be reached"), 503, "ServerBusy", True),
        (OSError(5, "Input/output error"), 503, "ServerBusy", True),
        (SupervisorUnavailable("none lives"), 500, "InternalError", True),
        (JobFailed("unexpected here"), 500, "InternalError", True),
    ],
)
def test_what_the_caller_can_do_nothing_about_is_logged_and_not_told(error, status, code, is_logged, caplog):
    refusal = as_refusal(error)
    assert (refusal.status, refusal.code) == (status, code)
    assert ("Retry-After" in refusal.headers) == (status == 503)
    assert bool(caplog.records) == is_logged
    assert (str(error) in refusal.message) != is_logged
