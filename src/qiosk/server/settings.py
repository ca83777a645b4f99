"""Settings of the server alone, read from the environment; those of the service are in ``qiosk.settings``."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from qiosk.errors import InvalidValue
from qiosk.settings import STOP_SECONDS

MIB = 1 << 20

Port = Annotated[int, Meta(ge=0, le=65535)]
Size = Annotated[int, Meta(ge=1024)]
Count = Annotated[int, Meta(ge=1)]


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What can be chosen about the server; each member's variable is its name in upper case behind ``QIOSK_``.

    Sizes are in bytes, times in seconds. Raises InvalidValue for members that do not fit.
    """

    host: str = "127.0.0.1"
    """Address to listen on; with no key configured only a loopback one."""
    port: Port = 8000
    """Port to listen on; 0 takes a free one."""
    public_url: str | None = None
    """Where clients reach the server, if not where it listens: ``https://jobs.example.org``."""
    certfile: Path | None = None
    """PEM file of the TLS certificate chain."""
    keyfile: Path | None = None
    """PEM file of the certificate's private key."""
    insecure: bool = False
    """Whether to listen on any address though no key is configured."""
    admin_key: str | None = None
    """A key that opens every workspace, 16 characters or more."""
    secret_key: str | None = None
    """Secret that signs links to blobs, 16 characters or more; by default a file of the home."""
    oidc_issuer: str | None = None
    """Issuer of accepted OpenID Connect tokens."""
    oidc_audience: str | None = None
    """Audience that accepted tokens must be made for."""
    oidc_workspace_claim: str = "qiosk_workspaces"
    """Claim that lists workspaces, as ``subscription/group/name``; ``*`` opens all."""
    oidc_jwks_url: str | None = None
    """Where the issuer's keys are, if its metadata do not say."""
    max_body_bytes: Size = MIB
    """Largest body of a job request: a few times what a job may say."""
    body_seconds: Annotated[float, Meta(gt=0)] = 30.0
    """How long such a body may take to arrive."""
    max_blob_bytes: Size = 5000 * MIB
    """Largest blob, or block of one, in a single request."""
    max_connections: Count = 2000
    """Connections at once; further ones are answered 503."""
    server_threads: Annotated[int, Meta(ge=1, le=1000)] = 32
    """Requests that are worked on at once."""
    stop_seconds: Annotated[float, Meta(ge=0)] = STOP_SECONDS
    """How long open requests may take to end when the server stops; running jobs have as long after them."""
    log_format: Annotated[str, Meta(pattern="^(json|console)$")] = "json"
    """``json``, one object a line, or ``console``, for people."""

    def __post_init__(self) -> None:
        if self.public_url is not None:
            msgspec.structs.force_setattr(self, "public_url", _checked_url(self.public_url))
        _check_secret("admin_key", self.admin_key)
        _check_secret("secret_key", self.secret_key)
        for one, other in (("certfile", "keyfile"), ("oidc_issuer", "oidc_audience")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise InvalidValue(f"{_variable(one)} and {_variable(other)} must be given together")

    def __repr__(self) -> str:
        shown = [name for name in self.__struct_fields__ if name not in _SECRETS]
        return f"ServerSettings({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

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


_SECRETS = ("admin_key", "secret_key")


def read_server_settings(**overrides: Any) -> ServerSettings:
    """Settings from the environment; ``overrides`` that are not None win.

    Raises InvalidValue, naming the variable and the rule, never a secret's value.
    """
    given: dict[str, Any] = {}
    for name in ServerSettings.__struct_fields__:
        text = os.environ.get(_variable(name), "").strip()
        if text:
            given[name] = text
    given |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return msgspec.convert(given, ServerSettings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, InvalidValue):
            raise error.__cause__ from None
        rule, _, place = str(error).partition(" - at `$.")
        raise InvalidValue(f"{_variable(place.rstrip('`'))}: {rule[:1].lower()}{rule[1:]}") from None


def _variable(name: str) -> str:
    return f"QIOSK_{name.upper()}"


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    raise TypeError(f"Expected `{kind.__name__}`, found {value!r}")


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidValue(
            f"QIOSK_PUBLIC_URL: must be http://HOST or https://HOST, perhaps with a port and a path, found {url!r}"
        )
    return url.rstrip("/")


def _check_secret(name: str, key: str | None) -> None:
    if key is not None and (len(key) < 16 or not key.isascii()):
        raise InvalidValue(f"{_variable(name)}: must have at least 16 characters, all of ASCII")
