"""Refuses requests that foreign web pages make through a user's browser.

Why. A server on the loopback may need no key, and every page that the user visits can make the browser send requests
there. Browsers do not let a page read the responses of another host. But a page of ``evil.example`` can let that name
resolve to 127.0.0.1, and is then one of the same host (DNS rebinding); and some requests that change things are sent
without asking the server first. So three things are checked, on all paths:

- ``Host`` must be a name of the server, if the server is on the loopback, needs no key, or has a list of names. The
  port is not compared, since ports are often forwarded. On other servers, a page cannot do anything without a key.
- ``Origin`` must be the server itself.
- ``Sec-Fetch-Site`` must not be ``cross-site``, nor ``same-site`` in requests that change something. But a link on
  another site may lead to a page: the browser is told to ask for it once more by itself. That request comes from this
  server's own document, so it also has the cookies that are for requests of the same site only.

Requests that change jobs must also have a JSON content type, which pages of other hosts may not send: see ``routing``.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from typing import Final, final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from qiosk.errors import Forbidden, InvalidJobDefinition
from qiosk.server.settings import ANY_HOST, ServerSettings
from qiosk.server.web.errors import error_reply

_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_PORTS: Final = {"http": "80", "https": "443"}
_READS: Final = ("GET", "HEAD")
_FOREIGN: Final = "Sec-Fetch-Site header: requests from pages of other sites are refused"
_CACHED: Final = 256  # hosts: clients send the same few again and again


@final
class SameOrigin:
    """Middleware that answers 403 to requests from foreign pages."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._names = KnownNames(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            try:
                reason = self._names.refusal(scope["method"], headers)
            except InvalidJobDefinition as error:
                await error_reply(error)(scope, receive, send)
                return
            if reason is not None:
                is_link = reason == _FOREIGN and _follows_link(scope, headers)
                await (_ask_again() if is_link else error_reply(Forbidden(reason)))(scope, receive, send)
                return
        await self._app(scope, receive, send)


@final
class KnownNames:
    """The names that a server is known by."""

    def __init__(self, settings: ServerSettings) -> None:
        self._is_open = _is_unspecified(settings.host)
        self._public = None if settings.public_url is None else urlsplit(settings.public_url)
        names = [settings.host, socket.gethostname(), *settings.hosts]
        if self._public is not None:
            names.append(self._public.hostname or "")
        self._names = frozenset(_plain(name) for name in names)
        self._checks_host = ANY_HOST not in settings.hosts and bool(
            settings.is_loopback or settings.insecure or settings.hosts
        )

    def refusal(self, method: str, headers: Headers) -> str | None:
        """Why a request is refused; None if it is not. Raises InvalidJobDefinition if its Host is none."""
        hosts = headers.getlist("host")
        if len(hosts) > 1:
            return "Host header: is given twice"
        host = hosts[0] if hosts else ""
        if host and not _HOST.fullmatch(host):
            raise InvalidJobDefinition(f"Host header: must be a host and perhaps a port, found {host[:100]!r}")
        if self._checks_host and host and not self.knows(host):
            return f"Host header: {host[:100]!r} is no name of this server; QIOSK_HOSTS lists further names"
        for origin in headers.getlist("origin"):
            if not self._is_own(origin, host):
                return f"Origin header: requests from pages of {origin[:100]!r} are refused"
        site = headers.get("sec-fetch-site", "").strip().lower()
        if site == "cross-site" or (site == "same-site" and method not in _READS):
            return _FOREIGN
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server, with any port."""
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = _plain(match["name"])
        return name in self._names or _is_loopback(name) or (self._is_open and _address(name) is not None)

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether an origin is that of the Host header, or of the public URL."""
        try:
            found = urlsplit(origin)
            place = _place(found.scheme, found.netloc)
            if self._public is not None and place == _place(self._public.scheme, self._public.netloc):
                return True
            return place == _place(found.scheme, host)
        except ValueError:
            return False


def is_page(path: str) -> bool:
    """Whether a path may be one of the pages for browsers."""
    return path == "/" or path == "/ui" or path.startswith("/ui/")


def _follows_link(scope: Scope, headers: Headers) -> bool:
    """Whether a browser asks for a page, to show it in place of the one with the link, and not inside of it."""
    is_shown = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
    return is_shown and scope["method"] in _READS and is_page(scope["path"])


def _ask_again() -> Response:
    text = '<!doctype html><html lang="en"><title>Qiosk</title><p><a href="">Open the page</a></p></html>'
    policy = "default-src 'none'; frame-ancestors 'none'"  # not sandboxed: a sandboxed document may not ask again
    return HTMLResponse(text, headers={"Refresh": "0", "Content-Security-Policy": policy})


def _place(scheme: str, netloc: str) -> tuple[str, str]:
    """Name and port of a host. Raises ValueError."""
    match = _HOST.fullmatch(netloc)
    if match is None or scheme not in _PORTS:
        raise ValueError(f"no host of HTTP: {scheme}://{netloc}")
    return _plain(match["name"]), match["port"] or _PORTS[scheme]


@lru_cache(_CACHED)
def _plain(name: str) -> str:
    """One spelling for all that mean the same."""
    name = name.strip("[]").lower().removesuffix(".")
    address = _address(name)
    return name if address is None else str(address)


@lru_cache(_CACHED)
def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_loopback(name: str) -> bool:
    """Whether a name, in its plain spelling, means this machine. Browsers resolve those below localhost themselves."""
    address = _address(name)
    return name == "localhost" or name.endswith(".localhost") or (address is not None and address.is_loopback)


def _is_unspecified(host: str) -> bool:
    address = _address(host)
    return host == "" or (address is not None and address.is_unspecified)
