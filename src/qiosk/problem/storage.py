"""What ``Problem.upload`` and ``Problem.download`` need of a workspace."""

from __future__ import annotations

from typing import Any, Protocol


class Blobs(Protocol):
    """The blobs of a workspace, among them uploaded problems."""

    def get_blob(self, container: str, name: str) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        ...

    def locate(self, blob_uri: str) -> tuple[str, str]:
        """Container and name of the blob that a URI refers to. Raises InvalidValue."""
        ...


class Downloader(Protocol):
    """The part of a workspace that ``Problem.download`` needs."""

    @property
    def api(self) -> Blobs:
        """The workspace's blobs."""
        ...


class Uploader(Downloader, Protocol):
    """The part of a workspace that ``Problem.upload`` needs."""

    def upload_problem(self, problem: Any, container_name: str, blob_name: str) -> str:
        """Store a problem; returns its URI."""
        ...
