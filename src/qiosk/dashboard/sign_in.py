"""Sessions of browsers: a cookie that contains the caller's key, encrypted, and a token against forged requests.

The server keeps no sessions. The cookie is a Fernet token (AES-128-CBC and HMAC-SHA-256,
https://github.com/fernet/spec) of JSON; only this server's secret opens it. The key in it is authenticated with every
request, like one in a header, so a revoked or expired key ends the session.

Every form contains the session's ``csrf`` token, which pages of other sites cannot read.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from typing import Final, final

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from starlette.requests import Request
from starlette.responses import Response

from qiosk.errors import Forbidden, InvalidValue

SESSION_S: Final = 12 * 3600
"""How long a session lasts after signing in."""
MAX_COOKIE: Final = 4000
"""Most characters of a cookie, its name included: browsers drop those of more than 4096 without a word."""
CSRF_FIELD: Final = "csrf"
"""The form's field with the token; htmx sends it as a header of this name with ``X-`` before it."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A browser's session. ``credential`` is a key or token; None before signing in."""

    csrf: str
    credential: str | None = None

    def check(self, sent: str) -> None:
        """Raise Forbidden unless a request that changes something contains the session's token."""
        if not hmac.compare_digest(sent.encode("utf-8", "replace"), self.csrf.encode()):
            raise Forbidden("the form is out of date: go back, reload the page and send it again")


def new_session(credential: str | None = None) -> Session:
    """A session that has just begun."""
    return Session(csrf=secrets.token_urlsafe(24), credential=credential)


@final
class Sessions:
    """Reads and writes the cookies of sessions."""

    def __init__(self, secret: bytes, *, path: str) -> None:
        """``secret`` is the server's; ``path`` is the path of its public URL, without a slash at the end."""
        derived = hmac.digest(secret, b"qiosk dashboard session", "sha256")
        self._fernet = Fernet(urlsafe_b64encode(derived))
        # Browsers do not tell ports apart: servers of one machine must have cookies of different names.
        self._name = f"qiosk-session-{hashlib.sha256(derived).hexdigest()[:8]}"
        self._path = path or "/"

    def read(self, request: Request) -> Session | None:
        """The session of a request; None if it has no cookie, a forged one, or one that has expired."""
        try:
            return msgspec.json.decode(
                self._fernet.decrypt(request.cookies.get(self._name, ""), ttl=SESSION_S), type=Session
            )
        except (InvalidToken, msgspec.DecodeError):
            return None

    def write(self, response: Response, session: Session, *, is_secure: bool) -> None:
        """Let the browser keep a session. Raises InvalidValue if the key is too long for a cookie."""
        text = self._fernet.encrypt(msgspec.json.encode(session)).decode()
        if len(self._name) + len(text) > MAX_COOKIE:
            raise InvalidValue(
                f"key: is too long to be kept in a cookie, which has at most {MAX_COOKIE} characters, found "
                f"{len(session.credential or '')}, which become {len(text)} when they are encrypted"
            )
        response.set_cookie(
            self._name,
            text,
            max_age=SESSION_S,
            path=self._path,
            secure=is_secure,
            httponly=True,
            samesite="strict",
        )

    def forget(self, response: Response, *, is_secure: bool) -> None:
        """Let the browser forget the session."""
        response.delete_cookie(self._name, path=self._path, secure=is_secure, httponly=True, samesite="strict")
