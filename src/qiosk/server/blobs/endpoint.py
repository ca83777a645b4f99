"""The blob endpoint: the subset of Azure's Blob Storage REST interface that optimization jobs need.

How requests are authorized. A container or blob is reached through a shared access signature (SAS): the server signs a
URL for one caller, and its query contains the workspace, the permissions, the expiry, and a signature of all of them.
Requests carry no other credential, so the endpoint looks at nothing else: ``service.sas`` checks the signature, and
each operation checks that the permissions include one of those it needs.

Content is stored and served byte for byte: no middleware may compress these responses.
"""

from __future__ import annotations

import uuid
from typing import final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from qiosk.contract.jobs import ACCOUNT
from qiosk.errors import QioskError
from qiosk.server.blobs.errors import BlobRefusal, as_refusal, refusal_reply
from qiosk.server.blobs.operations import BlobCall, BlobService
from qiosk.server.blobs.requests import read_place
from qiosk.service.blobs import sas

_MARKS = ("x-ms-version", "x-ms-blob-type", "x-ms-date")  # headers that only blob requests have


@final
class BlobEndpoint:
    """The application for paths without a route: answers blob requests, and 404 to all others."""

    def __init__(self, service: BlobService) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        if not is_blob_request(request):
            raise HTTPException(404, "there is nothing here")
        try:
            response = await self._answer(request)
        except (BlobRefusal, QioskError, OSError) as error:
            response = refusal_reply(as_refusal(error), is_head=request.method == "HEAD")
        _add_common_headers(request, response)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        place = read_place(request.scope["raw_path"], request.scope["query_string"])
        grant = sas.verify(
            self._service.secret,
            place.query,
            container=place.container,
            blob=place.blob,
            now=self._service.now(),
        )
        call = BlobCall(self._service, request, place, grant)
        return await call.on_container() if place.blob is None else await call.on_blob(place.blob)


def is_blob_request(request: Request) -> bool:
    """Whether a request to a path without a route is a blob request."""
    return (
        request.scope["path"].lstrip("/").startswith(f"{ACCOUNT}/")
        or b"sig=" in request.scope["query_string"]
        or any(name in request.headers for name in _MARKS)
    )


def _add_common_headers(request: Request, response: Response) -> None:
    headers = response.headers
    headers["x-ms-version"] = request.headers.get("x-ms-version", "2021-08-06")
    headers.setdefault("x-ms-request-id", str(uuid.uuid4()))
    if (client_id := request.headers.get("x-ms-client-request-id")) is not None:
        headers["x-ms-client-request-id"] = client_id
