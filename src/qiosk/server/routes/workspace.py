"""Routes of a workspace as a whole: links to its storage, its targets, and its quotas."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.contract.http import requests
from qiosk.contract.jobs import TargetView
from qiosk.contract.quotas import QuotaView
from qiosk.errors import InvalidJobDefinition, InvalidValue
from qiosk.server.auth.access import Access, Reading
from qiosk.server.web.bodies import request_body
from qiosk.server.web.openapi import answers, pages, takes
from qiosk.server.web.replies import list_reply, reply
from qiosk.server.web.routing import Routes

router = Routes("Workspace")


class TargetStatus(msgspec.Struct, rename="camel", kw_only=True):
    """A target and its availability."""

    id: str
    current_availability: str
    average_queue_time: int
    status_page: str | None = None


class ProviderStatus(msgspec.Struct, rename="camel", kw_only=True):
    """A provider and its targets."""

    id: str
    current_availability: str
    targets: list[TargetStatus]


class StorageLink(msgspec.Struct, rename="camel", kw_only=True):
    """A signed URL of a container or blob, valid for some time."""

    sas_uri: str


@router.post("/storage/sasUri", operation_id="getStorageLink", **answers(StorageLink), **takes(requests.StorageRequest))
async def get_storage_link(request: Request, access: Reading) -> Response:
    """A signed URL of a container, which is created if it does not exist, or of a blob in it.

    A caller with read access gets a URL that permits only reading, and nothing is created.
    """
    body = await request_body(request, access.settings)
    return await run_in_threadpool(lambda: reply(StorageLink(sas_uri=_link(access, body))))


@router.get("/providerStatus", operation_id="listProviders", **pages(ProviderStatus))
async def list_providers(access: Reading) -> Response:
    """Providers with their targets, and the average time in seconds that recent jobs waited for each target."""

    def work() -> Response:
        waits = access.parts.statistics.queue_times()
        targets = [replace(view, average_queue_time=round(waits.get(view.id, 0))) for view in access.jobs.targets()]
        return list_reply(_providers(targets))

    return await run_in_threadpool(work)


@router.get("/quotas", operation_id="listQuotas", **pages(QuotaView))
async def list_quotas(access: Reading) -> Response:
    """The quotas of the workspace, and what is used of them."""
    return await run_in_threadpool(lambda: list_reply(list(access.jobs.quotas())))


def _link(access: Access, body: bytes) -> str:
    asked = requests.decode_request(requests.StorageRequest, body)
    try:
        if asked.blob_name is not None:
            return access.links.blob(asked.container_name, asked.blob_name)
        if access.may_write:
            access.jobs.container_uri(asked.container_name)  # newer clients expect it to exist
        return access.links.container(asked.container_name)
    except InvalidValue as error:
        raise InvalidJobDefinition(error.message) from error


def _providers(targets: list[TargetView]) -> list[Any]:
    by_provider: dict[str, list[TargetStatus]] = {}
    for view in targets:
        status = TargetStatus(
            id=view.id, current_availability=view.current_availability, average_queue_time=view.average_queue_time
        )
        by_provider.setdefault(view.provider_id, []).append(status)
    return [ProviderStatus(id=name, current_availability="Available", targets=of) for name, of in by_provider.items()]
