"""Makes the OpenAPI document: routes declare contract types, and msgspec makes their schemas."""

from __future__ import annotations

import inspect
from collections import ChainMap
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import msgspec

from qiosk.contract.http import error_codec
from qiosk.server.web.replies import JSON
from qiosk.server.web.routing import Route

_TEMPLATE = "#/components/schemas/{name}"
_COMPONENTS = "x-components"
"""Member in which a part of the document carries the schemas it refers to, until they are collected."""
_IN_PATH = {
    "subscription": "Subscription of the workspace.",
    "group": "Resource group of the workspace.",
    "workspace": "Name of the workspace.",
    "job_id": "Id of the job.",
    "session_id": "Id of the session.",
}


def answers(kind: Any, *, status: int = 200, or_nothing: bool = False, media_type: str = JSON) -> dict[str, Any]:
    """Arguments of a route decorator: the response has a body of this type.

    ``kind`` is a type that msgspec encodes, or bytes of the ``media_type``; None means no body. ``or_nothing``: 204 is
    possible, too.
    """
    schema = ({"type": "string", "format": "binary"}, {}) if kind is bytes else _schema(kind)
    done = {"description": "Done."} if kind is None else _described("Done.", *schema, media_type)
    found = _responses(status, done)
    if or_nothing:
        found["responses"]["204"] = {"description": "There is none yet."}
    return found


def pages(*kinds: Any) -> dict[str, Any]:
    """Arguments of a route decorator: the response is a page of items of these types, with a ``nextLink``."""
    schemas, components = zip(*map(_schema, kinds), strict=True)
    item = schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
    link = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    page = {
        "type": "object",
        "required": ["value", "nextLink"],
        "properties": {"value": {"type": "array", "items": item}, "nextLink": link},
    }
    return _responses(200, _described("A page.", page, dict(ChainMap(*components))))


def streams(kind: Any, description: str) -> dict[str, Any]:
    """Arguments of a route decorator: the response is a stream of server-sent events with data of this type."""
    schema, components = _schema(kind)
    media = {"schema": {"type": "string"}, "x-event-data": schema, _COMPONENTS: components}
    return _responses(200, {"description": description, "content": {"text/event-stream": media}})


def takes(kind: Any) -> dict[str, Any]:
    """Arguments of a route decorator: the request has a body of this type."""
    return {"requestBody": {"required": True, **_content(*_schema(kind))}}


def describe(routes: Iterable[Route], *, title: str, version: str, description: str) -> dict[str, Any]:
    """The OpenAPI document of routes that have a tag, with the schemas of all types they name."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.tag is not None:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, route.tag)
    components: dict[str, Any] = {}
    for place in _carriers(paths):
        components.update(place.pop(_COMPONENTS))
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": description, "version": version},
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _operation(route: Route, tag: str) -> dict[str, Any]:
    members = deepcopy(dict(route.openapi))
    of_path = [_path_parameter(name) for name in route.path_parameters]
    return {
        "tags": [tag],
        "summary": route.endpoint.__name__.replace("_", " ").title(),
        "description": inspect.getdoc(route.endpoint) or "",
        "operationId": members.pop("operation_id"),
        "parameters": [*of_path, *members.pop("parameters", ())],
        **members,
    }


def _path_parameter(name: str) -> dict[str, Any]:
    schema = {"type": "string", "title": name.replace("_", " ").title()}
    return {"name": name, "in": "path", "required": True, "description": _IN_PATH[name], "schema": schema}


def _responses(status: int, done: dict[str, Any]) -> dict[str, Any]:
    failed = _described("An error.", *_schema(error_codec.ErrorBody))
    return {"responses": {str(status): done, "default": failed}}


def _described(
    description: str, schema: dict[str, Any], components: dict[str, Any], media_type: str = JSON
) -> dict[str, Any]:
    return {"description": description, **_content(schema, components, media_type)}


def _content(schema: dict[str, Any], components: dict[str, Any], media_type: str = JSON) -> dict[str, Any]:
    return {"content": {media_type: {"schema": schema, _COMPONENTS: components}}}


def _schema(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    (schema,), components = msgspec.json.schema_components((kind,), ref_template=_TEMPLATE)
    return schema, components


def _carriers(node: Any) -> Iterator[dict[str, Any]]:
    """Every part of a document that carries schemas to be collected."""
    if isinstance(node, dict):
        if _COMPONENTS in node:
            yield node
        for member in list(node.values()):
            yield from _carriers(member)
    elif isinstance(node, list):
        for member in node:
            yield from _carriers(member)
