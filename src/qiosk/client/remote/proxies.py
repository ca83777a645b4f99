"""Connections to servers, through the proxies that the environment names: as curl and requests read it.

``http_proxy``, ``https_proxy`` and ``all_proxy`` are URLs, or ``HOST:PORT``, and may contain a user and a password.
``no_proxy`` lists hosts, domains with everything below them, addresses, networks (``10.0.0.0/8``) or ``*``. The
names of the variables may be in capitals. Servers on the loopback are reached without a proxy.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from qiosk.errors import InvalidValue, extra

_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")


def pool_for(url: str, options: dict[str, Any]) -> urllib3.PoolManager:
    """Connections to a server, through its proxy if it has one; ``options`` are those of ``urllib3.PoolManager``.

    Raises InvalidValue for a proxy that cannot be used, MissingExtra for SOCKS without its package.
    """
    proxy = proxy_of(url)
    return urllib3.PoolManager(**options) if proxy is None else _through(proxy, options)


def proxy_of(url: str) -> str | None:
    """The proxy for a URL as the environment gives it; None if there is none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if (
        not proxy
        or is_loopback(url)
        or proxy_bypass(parts.netloc)
        or _is_in_networks(parts.hostname, proxies.get("no"))
    ):
        return None
    return proxy


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _is_in_networks(host: str | None, no_proxy: str | None) -> bool:
    try:
        address = ip_address(host or "")
    except ValueError:
        return False
    for entry in (no_proxy or "").split(","):
        try:
            if address in ip_network(entry.strip(), strict=False):
                return True
        except ValueError:  # it is a name
            continue
    return False


def _through(proxy: str, options: dict[str, Any]) -> urllib3.PoolManager:
    """A pool of connections through a proxy.

    Raises InvalidValue and MissingExtra, whose messages contain neither user nor password.
    """
    shown = proxy.rpartition("@")[2]
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        port = parts.port
    except ValueError as error:
        raise InvalidValue(f"proxy: {error}, found {shown!r}") from error
    if parts.scheme not in ("http", "https", *_SOCKS) or not parts.hostname:
        raise InvalidValue(f"proxy: must be [http(s)|socks5://][USER:PASSWORD@]HOST[:PORT], found {shown!r}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    if parts.scheme in _SOCKS:
        with extra("socks", f"proxy: {shown!r}"):
            from urllib3.contrib.socks import SOCKSProxyManager
        pool: urllib3.PoolManager = SOCKSProxyManager(address, user or None, password or None, **options)
        return pool
    headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if parts.username is not None else None
    return urllib3.ProxyManager(address, proxy_headers=headers, **options)
