"""Settings of the server, read from the environment. Those of the service are in ``qiosk.settings``."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from qiosk.errors import InvalidValue
from qiosk.settings import STOP_SECONDS, integer, number, number_of_bytes, read_environment, setting, text, variable

MIB = 1 << 20
ANY_HOST = "*"
"""In the list of the server's names: any name."""


def _file(_: str, found: str) -> Path:
    return Path(found)


def _hosts(name: str, found: str) -> tuple[str, ...]:
    hosts = tuple(found.replace(",", " ").split())
    if wrong := [
        host for host in hosts if host != ANY_HOST and not re.fullmatch(r"[\w.-]+|\[?[0-9A-Fa-f:.]+\]?", host)
    ]:
        raise InvalidValue(f"{name}: must list names or addresses without ports, found {wrong[0]!r}")
    return hosts


def _flag(name: str, found: str) -> bool:
    if found.lower() not in ("true", "false", "1", "0"):
        raise InvalidValue(f"{name}: must be true or false, found {found!r}")
    return found.lower() in ("true", "1")


def _log_format(name: str, found: str) -> str:
    if found not in ("json", "console"):
        raise InvalidValue(f"{name}: must be json or console, found {found!r}")
    return found


def _secret(name: str, found: str) -> str:
    if len(found) < 16 or not found.isascii():
        raise InvalidValue(f"{name}: must have at least 16 characters, all of ASCII")
    return found


def _url(name: str, found: str) -> str:
    try:
        parts = urlsplit(found)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidValue(
            f"{name}: must be http://HOST or https://HOST, perhaps with a port and a path, found {found!r}"
        )
    return found.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of the server. The variable of a member is ``QIOSK_`` and its name in upper case.

    Sizes are in bytes, times in seconds. Raises InvalidValue if only one member of a pair is given.
    """

    host: str = setting(text, "127.0.0.1")
    """Address to listen on; without a key only a loopback address is allowed."""
    port: int = setting(integer(0, 65535), 8000)
    """Port to listen on; 0 takes a free one."""
    public_url: str | None = setting(_url, None)
    """URL of the server for clients, if it is not the address it listens on: ``https://jobs.example.org``."""
    hosts: tuple[str, ...] = setting(_hosts, ())
    """Further names of the server, which requests may have as ``Host``; ``*`` is any name."""
    certfile: Path | None = setting(_file, None)
    """PEM file of the TLS certificate chain."""
    keyfile: Path | None = setting(_file, None)
    """PEM file of the certificate's private key."""
    insecure: bool = setting(_flag, False)
    """Whether to listen on any address without a key."""
    admin_key: str | None = setting(_secret, None, is_secret=True)
    """A key for every workspace, 16 characters or more."""
    secret_key: str | None = setting(_secret, None, is_secret=True)
    """Secret that signs links to blobs, 16 characters or more; by default one in a file of the home."""
    oidc_issuer: str | None = setting(text, None)
    """Issuer of accepted OpenID Connect tokens."""
    oidc_audience: str | None = setting(text, None)
    """Audience of accepted tokens."""
    oidc_workspace_claim: str = setting(text, "qiosk_workspaces")
    """Claim that lists workspaces, as ``subscription/group/name``; ``*`` means all."""
    oidc_jwks_url: str | None = setting(text, None)
    """URL of the issuer's keys, if its metadata do not contain it."""
    max_body_bytes: int = setting(number_of_bytes(1024), MIB)
    """Largest body of a job request: a few times the largest valid one."""
    body_seconds: float = setting(number("seconds", is_zero_allowed=False), 30.0)
    """Longest time for such a body to arrive."""
    max_blob_bytes: int = setting(number_of_bytes(1024), 5000 * MIB)
    """Largest blob, or block of one, in a single request."""
    max_connections: int = setting(integer(1), 2000)
    """Most connections at once; further ones are answered 503."""
    server_threads: int = setting(integer(1, 1000), 32)
    """Number of threads, and so of requests that may wait for the store at once."""
    stop_seconds: float = setting(number("seconds"), STOP_SECONDS)
    """Longest time for open requests to end when the server stops, and then for running jobs."""
    log_format: str = setting(_log_format, "json")
    """``json``, one object per line, or ``console``, for people."""

    def __post_init__(self) -> None:
        for one, other in (("certfile", "keyfile"), ("oidc_issuer", "oidc_audience")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise InvalidValue(f"{variable(one)} and {variable(other)} must be given together")

    @property
    def has_oidc(self) -> bool:
        """Whether tokens of an OpenID Connect issuer are accepted."""
        return self.oidc_issuer is not None

    @property
    def base_path(self) -> str:
        """Path of the public URL, without a slash at its end; empty if there is none."""
        return "" if self.public_url is None else urlsplit(self.public_url).path

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_server_settings(**overrides: Any) -> ServerSettings:
    """Settings from the environment; see ``qiosk.settings.read_environment``."""
    return read_environment(ServerSettings, os.environ, overrides)
