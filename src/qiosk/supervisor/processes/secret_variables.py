"""Secrets in the environment: job processes inherit none but those of their storage.

The supervisor takes what it needs out of its environment before it starts the fork server.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from qiosk.settings import Settings, is_secret_variable

_POSTGRES_PASSWORD = "PGPASSWORD"
_CREDENTIALS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "az": ("AZURE_STORAGE_KEY",),
}
"""The secrets of each kind of storage."""


def storage_variables(environ: Mapping[str, str], storage_url: str) -> dict[str, str]:
    """The variables with which other machines reach the storage at the URL: credentials, regions and addresses."""
    prefix = {"s3": "AWS_", "az": "AZURE_STORAGE_"}.get(urlsplit(storage_url).scheme)
    return {} if prefix is None else {name: value for name, value in environ.items() if name.startswith(prefix)}


def take_database_password(settings: Settings, environ: MutableMapping[str, str]) -> Settings:
    """Settings whose database has the password that PostgreSQL's library would read from the environment later."""
    password = environ.pop(_POSTGRES_PASSWORD, "")
    if not password or not settings.database or not settings.database.startswith("postgres"):
        return settings
    parts = urlsplit(settings.database)
    if parts.password is not None:
        return settings
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user}:{quote(password, safe='')}@{host}"
    return replace(settings, database=parts._replace(netloc=netloc).geturl())


def drop_secrets(environ: MutableMapping[str, str], storage_url: str) -> None:
    """Remove Qiosk's secrets, and the credentials of other storage than that at the URL."""
    scheme = urlsplit(storage_url).scheme
    unused = {name for kind, names in _CREDENTIALS.items() if kind != scheme for name in names}
    for name in [name for name in environ if is_secret_variable(name) or name in unused]:
        del environ[name]
