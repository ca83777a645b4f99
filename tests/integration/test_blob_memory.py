"""The server's memory does not grow with the blobs that pass through it."""

from __future__ import annotations

import pytest

from benchmarks.service.served import server
from benchmarks.service.upload import download, link_to, peak_mib, put_blocks, put_once

MIB = 256
ALLOWED_MIB = 48  # a few megabytes a request, and what the allocator keeps


@pytest.mark.slow
@pytest.mark.parametrize("put", [put_blocks, put_once])
def test_a_large_blob_passes_through_little_memory(put):
    with server() as (url, pid):
        link = link_to(url, "large")
        before = peak_mib(pid)
        put(link, MIB)
        download(link, MIB)
        assert peak_mib(pid) - before <= ALLOWED_MIB
