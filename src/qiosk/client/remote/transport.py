"""Requests to a server: kept-alive connections, time-outs, tries again with growing pauses, errors as they were raised.

A request that cannot have an effect twice is sent again when the connection broke, or when the server (or something
before it) says that it cannot answer for now. Between two tries there is a pause that grows, with some chance in it so
that many clients do not come back at once; ``Retry-After`` is obeyed. What goes wrong for longer than that is a
``ServiceUnavailable``.
"""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any, Final, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError
from urllib3.response import BaseHTTPResponse

import qiosk
from qiosk import errors
from qiosk.client.remote.xml import read_xml
from qiosk.contract import codec
from qiosk.contract.blobs import BLOB_ANSWERS
from qiosk.errors import QioskError, ServiceUnavailable, UnreadableInput

_log = logging.getLogger(__name__)

OnBytes = Callable[[int, int], None]
"""Told of a transfer's bytes so far, and of all of them (0: not known)."""

PIECE = 1 << 18
"""Bytes that are handed over at a time."""
_PASSING = (408, 502, 503, 504)
_LONGEST_PAUSE_S = 30.0
_BY_STATUS: Final[Mapping[int, type[QioskError]]] = {
    400: errors.InvalidJobDefinition,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    412: errors.BlobChanged,
    413: errors.RequestTooLarge,
    429: errors.QuotaExceeded,
    503: ServiceUnavailable,
    507: errors.StorageFull,
}
_BY_STORAGE_CODE: Final = {code: kind for kind, (_, code) in BLOB_ANSWERS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client holds out. Seconds.

    ``tries`` includes the first one; pauses are ``first_pause_s``, doubled each time up to ``longest_pause_s``.
    ``connect_s`` is the time-out of one connection, ``read_s`` of silence while an answer is awaited.
    """

    tries: int = 7
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0
    connect_s: float = 10.0
    read_s: float = 90.0

    def pause(self, failures: int) -> float:
        """How long to wait after so many failures, at least one: a random part of the longest, half of it at least."""
        longest = min(self.longest_pause_s, self.first_pause_s * 2.0 ** (failures - 1))
        return longest * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. ``tries`` is how often the request was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    tries: int = 1

    def json(self) -> Any:
        """The body's JSON. Raises UnreadableInput."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableInput(f"reply: is no JSON: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked. ``url`` is absolute; ``is_repeatable``: nothing bad happens if the server gets it twice;
    ``is_signed``: the URL is its own credential, and no other goes along.
    """

    method: str
    url: str
    body: bytes | memoryview | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = True
    is_signed: bool = False
    on_sent: OnBytes | None = None
    on_received: OnBytes | None = None


class Transport:
    """Sends requests to one server, from any number of threads."""

    def __init__(
        self,
        base: str,
        *,
        api_key: str | None = None,
        user_agent: str | None = None,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``base``: the server's URL. ``api_key`` is sent there only, never to other hosts."""
        self.base = base.rstrip("/")
        self.patience = patience or Patience()
        self._sleep = sleep
        self._own: dict[str, str] = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        product = f"qiosk/{qiosk.__version__}"
        self._common = {"User-Agent": f"{user_agent} {product}" if user_agent else product}
        self._pool = _pool(self.base, self.patience)
        if api_key is not None and base.startswith("http:") and not _is_loopback(base):
            _log.warning("the api key goes to %s unencrypted: use https", self.base)

    def send(self, request: Request) -> Answer:
        """The answer to a request, tried again as long as that makes sense.

        Raises the error that the server speaks of, or ServiceUnavailable if it cannot be reached. An error that did
        not come at the first try says so in its ``details``, as ``tries``.
        """
        for tries in range(1, self.patience.tries + 1):
            is_last = tries == self.patience.tries
            pause = self.patience.pause(tries)
            try:
                with self.open(request) as response:
                    if response.status < 300:
                        return Answer(response.status, response.headers, _read(response, request.on_received), tries)
                    failure: QioskError = error_of(response)
                    if not (response.status in _PASSING and request.is_repeatable) or is_last:
                        raise _after(tries, failure)
                    pause = max(pause, _retry_after(response))
            except HTTPError as error:
                failure = self.unreachable(request.url, error)
                if is_last or not _may_repeat(request, error):
                    raise failure from error
            _log.info("try %d of %s %s: %s", tries, request.method, _shown(request.url), failure)
            self._sleep(pause)
        raise AssertionError("the last try returns or raises")

    def open(self, request: Request, *, read_timeout_s: float | None = None) -> BaseHTTPResponse:
        """The response to a request as soon as its head is there; whoever calls reads and closes it.

        Raises urllib3's HTTPError.
        """
        is_own = request.url.startswith(self.base + "/") and not request.is_signed
        headers = {**self._common, **(self._own if is_own else {}), **request.headers}
        body: BytesIO | None = None
        if request.body is not None:
            headers["Content-Length"] = str(len(request.body))
            body = _Upload(request.body, request.on_sent) if request.on_sent else cast("Any", request.body)
        elif request.method in ("POST", "PUT"):
            headers["Content-Length"] = "0"
        timeout = None if read_timeout_s is None else urllib3.Timeout(self.patience.connect_s, read_timeout_s)
        options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        return self._pool.request(
            request.method,
            request.url,
            body=body,
            headers=headers,
            preload_content=False,
            decode_content=False,
            redirect=False,  # a redirect would take the credential along
            **options,
        )

    def unreachable(self, url: str, error: Exception) -> ServiceUnavailable:
        """The error for a request that had no answer."""
        return ServiceUnavailable(f"server {_origin(url)} gives no answer: {error}")

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _pool(base: str, patience: Patience) -> urllib3.PoolManager:
    """Connections to a server, through the proxy that the environment names for it, if any."""
    parts = urlsplit(base)
    proxy = getproxies().get(parts.scheme)
    options: dict[str, Any] = {
        "maxsize": 16,
        "block": False,
        "blocksize": PIECE,
        "retries": False,
        "timeout": urllib3.Timeout(connect=patience.connect_s, read=patience.read_s),
    }
    if proxy is None or _is_loopback(base) or proxy_bypass(parts.netloc):
        return urllib3.PoolManager(**options)
    return urllib3.ProxyManager(proxy, **options)


def error_of(response: BaseHTTPResponse) -> QioskError:
    """The error that an answer speaks of."""
    default = _BY_STATUS.get(response.status, QioskError)
    body = b"".join(response.stream(1 << 16, decode_content=True))
    if response.headers.get("Content-Type", "").partition(";")[0] == "application/json":
        error = codec.decode_error(body, default=default)
    else:
        error = _error_of_blobs(response, body)
    if isinstance(error, errors.QuotaExceeded) and (seconds := _retry_after(response)):
        error.details.setdefault("retry_after_s", seconds)
    return error


def _error_of_blobs(response: BaseHTTPResponse, body: bytes) -> QioskError:
    """The error of a request for a blob: Azure's code in a header, and XML that says more."""
    code = response.headers.get("x-ms-error-code", "")
    default = errors.InvalidValue if code and response.status == 400 else _BY_STATUS.get(response.status, QioskError)
    kind = _BY_STORAGE_CODE.get(code, default)
    text = ""
    with suppress(UnreadableInput):
        text = (read_xml(body).findtext("Message") or "").strip()
    reason = code or response.reason or ""
    message = text.splitlines()[0] if text else f"the server answered {response.status} {reason}".rstrip()
    return (default if issubclass(default, kind) else kind)(message, storage_code=code)


def _after(tries: int, error: QioskError) -> QioskError:
    if tries > 1:
        error.details["tries"] = tries
    return error


def _read(response: BaseHTTPResponse, on_received: OnBytes | None) -> bytes:
    if on_received is None:
        return response.read(decode_content=False)
    total = whole_size(response.headers)
    content = BytesIO()
    for piece in response.stream(PIECE, decode_content=False):
        content.write(piece)
        on_received(content.tell(), total)
    return content.getvalue()  # no copy


def whole_size(headers: Mapping[str, str]) -> int:
    """Bytes of what an answer holds, or holds a range of; 0 if it does not say."""
    text = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else 0


def _may_repeat(request: Request, error: HTTPError) -> bool:
    """Whether sending a request again can help and cannot harm."""
    if isinstance(error, SSLError) and isinstance(error.args[0], ssl.SSLCertVerificationError):
        return False
    return request.is_repeatable or isinstance(error, NewConnectionError | ConnectTimeoutError)


def _retry_after(response: BaseHTTPResponse) -> float:
    """Seconds that the server asks to wait, bounded; 0 if it does not."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_PAUSE_S)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _shown(url: str) -> str:
    return url.partition("?")[0]  # a query may hold a signature


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


class _Upload(BytesIO):
    """A body that tells how much of it has been taken."""

    def __init__(self, data: bytes | memoryview, on_sent: OnBytes) -> None:
        super().__init__(data)
        self._size = len(data)
        self._on_sent = on_sent

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._on_sent(self.tell(), self._size)
        return piece
