"""Routes: templates of paths, the functions that answer requests to them, and members of their OpenAPI description.

The arguments of a route's function follow from its parameters. ``request`` is the request; a parameter of type
``Annotated[T, provide]`` gets what ``await provide(request)`` returns; any other parameter gets the part of the path
that has its name.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Endpoint = Callable[..., Awaitable[Response]]
Handler = Callable[[Request], Awaitable[Response]]

_JSON = re.compile(r"application/([a-z0-9.-]+\+)?json", re.IGNORECASE)
_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method of a path. ``openapi`` contains members of its OpenAPI operation, in addition to those that follow from
    the function; ``tag`` is that of the operation, None for a route that the document leaves out.
    """

    method: str
    path: str
    endpoint: Endpoint
    handler: Handler
    tag: str | None
    openapi: Mapping[str, Any]

    @property
    def path_parameters(self) -> Sequence[str]:
        """Names of the variable parts of the path, in order."""
        return _PARAMETER.findall(self.path)


@final
class Routes:
    """Routes that are declared by decorators and share a tag."""

    def __init__(self, tag: str | None = None) -> None:
        self._tag = tag
        self._routes: list[Route] = []

    def get(self, path: str, **openapi: Any) -> Callable[[Endpoint], Endpoint]:
        """The decorated function answers GET."""
        return self._add("GET", path, openapi)

    def put(self, path: str, **openapi: Any) -> Callable[[Endpoint], Endpoint]:
        """The decorated function answers PUT."""
        return self._add("PUT", path, openapi)

    def post(self, path: str, **openapi: Any) -> Callable[[Endpoint], Endpoint]:
        """The decorated function answers POST."""
        return self._add("POST", path, openapi)

    def patch(self, path: str, **openapi: Any) -> Callable[[Endpoint], Endpoint]:
        """The decorated function answers PATCH."""
        return self._add("PATCH", path, openapi)

    def delete(self, path: str, **openapi: Any) -> Callable[[Endpoint], Endpoint]:
        """The decorated function answers DELETE."""
        return self._add("DELETE", path, openapi)

    def below(self, prefix: str) -> Sequence[Route]:
        """All routes so far, with ``prefix`` put before their paths."""
        return [replace(route, path=f"{prefix}{route.path}") for route in self._routes]

    def _add(self, method: str, path: str, openapi: Mapping[str, Any]) -> Callable[[Endpoint], Endpoint]:
        def decorate(endpoint: Endpoint) -> Endpoint:
            handler = _handler(endpoint)
            self._routes.append(
                Route(method=method, path=path, endpoint=endpoint, handler=handler, tag=self._tag, openapi=openapi)
            )
            return endpoint

        return decorate


@final
class RouteTable:
    """An application that answers requests by routes; ``fallback`` answers those to paths without a route."""

    def __init__(self, routes: Iterable[Route], fallback: ASGIApp) -> None:
        self._fallback = fallback
        self._templates: dict[int, list[_Template]] = {}  # by number of slashes
        for route in routes:
            self._template(route.path).methods.setdefault(route.method, route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Every path with GET also answers HEAD, with the headers of GET."""
        found = self._matches(scope["path"])
        if not found:
            await self._fallback(scope, receive, send)
            return
        for template, parameters in found:
            route = template.methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
            if route is not None:
                _check_content_type(scope)
                scope["route"], scope["path_params"] = route, parameters
                response = await route.handler(Request(scope, receive, send))
                await (_head_of(response) if scope["method"] == "HEAD" else response)(scope, receive, send)
                return
        raise HTTPException(405, headers={"Allow": ", ".join(_methods(found))})

    def _matches(self, path: str) -> list[tuple[_Template, dict[str, str]]]:
        found = []
        for template in self._templates.get(path.count("/"), ()):
            match = template.pattern.fullmatch(path)
            if match is not None:
                found.append((template, match.groupdict()))
        return found

    def _template(self, path: str) -> _Template:
        templates = self._templates.setdefault(path.count("/"), [])
        for template in templates:
            if template.path == path:
                return template
        templates.append(_Template(path, _pattern(path), {}))
        return templates[-1]


@dataclass(frozen=True, slots=True)
class _Template:
    """A path with variable parts, and its routes by method."""

    path: str
    pattern: re.Pattern[str]
    methods: dict[str, Route]


def _pattern(path: str) -> re.Pattern[str]:
    literals = _PARAMETER.split(path)
    names = literals[1::2]
    parts = [re.escape(literals[0])]
    for name, literal in zip(names, literals[2::2], strict=True):
        parts += [f"(?P<{name}>[^/]+)", re.escape(literal)]
    return re.compile("".join(parts), re.DOTALL)


def _methods(found: Sequence[tuple[_Template, Mapping[str, str]]]) -> Sequence[str]:
    """Methods of a path. Text after a colon in its last part is an action, unless no template has that action."""
    exact = [template for template, parameters in found if not any(":" in text for text in parameters.values())]
    methods = {method for template in exact or [template for template, _ in found] for method in template.methods}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def _head_of(response: Response) -> ASGIApp:
    """An application that sends only status and headers of a response. It ends there, since some bodies never end."""

    async def send_it(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_head(message: Message) -> None:
            await send(message)
            await send({"type": "http.response.body", "body": b""})
            raise _HeadSentError

        with suppress(_HeadSentError):
            await response(scope, receive, send_head)

    return send_it


def _check_content_type(scope: Scope) -> None:
    """Raise HTTPException (415) for a body that is not JSON. Pages of other hosts may send other types unasked."""
    headers = Headers(scope=scope)
    kind = headers.get("content-type")
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    if scope["method"] in _WRITES and (
        has_body if kind is None else not _JSON.fullmatch(kind.partition(";")[0].strip())
    ):
        found = "none" if kind is None else repr(kind[:100])
        raise HTTPException(415, f"Content-Type header: must be application/json, found {found}")


class _HeadSentError(Exception):
    """Ends a response after its head, so that the response releases its resources."""


def _handler(endpoint: Endpoint) -> Handler:
    """The endpoint as a function of the request alone."""
    hints = typing.get_type_hints(endpoint, include_extras=True)
    names = [name for name in inspect.signature(endpoint).parameters if name != "request"]
    has_request = "request" in hints
    providers = {name: _provider(hints[name]) for name in names}

    async def handle(request: Request) -> Response:
        given: dict[str, Any] = {"request": request} if has_request else {}
        for name, provide in providers.items():
            given[name] = request.path_params[name] if provide is None else await provide(request)
        return await endpoint(**given)

    return handle


def _provider(hint: Any) -> Callable[[Request], Awaitable[Any]] | None:
    return hint.__metadata__[0] if typing.get_origin(hint) is typing.Annotated else None
