"""Settings of the server alone, read from the environment; those of the service are in ``qiosk.settings``."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import pydantic
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from qiosk.errors import InvalidValue

MIB = 1 << 20


class ServerSettings(BaseSettings):
    """What can be chosen about the server; each member's variable is its name in upper case behind ``QIOSK_``.

    Sizes are in bytes, times in seconds.
    """

    model_config = SettingsConfigDict(env_prefix="QIOSK_", env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; with no key configured only a loopback one")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="port to listen on; 0 takes a free one")
    public_url: str | None = Field(
        None, description="where clients reach the server, if not where it listens: `https://jobs.example.org`"
    )
    certfile: Path | None = Field(None, description="PEM file of the TLS certificate chain")
    keyfile: Path | None = Field(None, description="PEM file of the certificate's private key")
    insecure: bool = Field(False, description="whether to listen on any address though no key is configured")
    admin_key: SecretStr | None = Field(None, description="a key that opens every workspace, 16 characters or more")
    secret_key: SecretStr | None = Field(
        None, description="secret that signs links to blobs, 16 characters or more; by default a file of the home"
    )
    oidc_issuer: str | None = Field(None, description="issuer of accepted OpenID Connect tokens")
    oidc_audience: str | None = Field(None, description="audience that accepted tokens must be made for")
    oidc_workspace_claim: str = Field(
        "qiosk_workspaces", description="claim that lists workspaces, as `subscription/group/name`; `*` opens all"
    )
    oidc_jwks_url: str | None = Field(None, description="where the issuer's keys are, if its metadata do not say")
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(4 * MIB, description="largest body of a job request")
    body_seconds: Annotated[float, Field(gt=0)] = Field(30.0, description="how long such a body may take to arrive")
    max_blob_bytes: Annotated[int, Field(ge=1024)] = Field(
        5000 * MIB, description="largest blob, or block of one, in a single request"
    )
    max_connections: Annotated[int, Field(ge=1)] = Field(
        2000, description="connections at once; further ones are answered 503"
    )
    server_threads: Annotated[int, Field(ge=1, le=1000)] = Field(32, description="requests that are worked on at once")
    stop_seconds: Annotated[float, Field(ge=0)] = Field(
        20.0, description="how long open requests, and then running jobs, may take to come to a stop"
    )
    log_format: Annotated[str, Field(pattern="^(json|console)$")] = Field(
        "json", description="`json`, one object a line, or `console`, for people"
    )

    @pydantic.field_validator("public_url")
    @classmethod
    def _check_public_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be http://HOST or https://HOST, perhaps with a port and a path")
        return url.rstrip("/")

    @pydantic.field_validator("admin_key", "secret_key")
    @classmethod
    def _check_secret(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and (len(key.get_secret_value()) < 16 or not key.get_secret_value().isascii()):
            raise ValueError("must have at least 16 characters, all of ASCII")
        return key

    @pydantic.model_validator(mode="after")
    def _check_pairs(self) -> ServerSettings:
        if (self.certfile is None) != (self.keyfile is None):
            raise ValueError("certfile and keyfile must be given together")
        if (self.oidc_issuer is None) != (self.oidc_audience is None):
            raise ValueError("oidc_issuer and oidc_audience must be given together")
        return self

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
    """Settings from the environment; ``overrides`` that are not None win.

    Raises InvalidValue, naming the variable and the rule, never a secret's value.
    """
    try:
        return ServerSettings(**{name: value for name, value in overrides.items() if value is not None})
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part).upper() for part in first["loc"])
        raise InvalidValue(f"{f'QIOSK_{place}' if place else 'server settings'}: {first['msg']}") from None
