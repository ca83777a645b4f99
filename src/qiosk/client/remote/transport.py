"""HTTP requests to a server: kept-alive connections, time-outs, retries with exponential backoff, typed errors.

How retries work. A request is sent again when the connection broke, or when the server or a proxy in front of it
answers with a status that means "not now". That does no harm: no request of this package has a second effect when the
server receives it twice, because the client itself makes the ids of jobs and sessions. Between two tries the client
pauses. The pause doubles each time, is partly random so that many clients do not return at the same moment, and is at
least what a ``Retry-After`` header asks for. When the tries of a :class:`RetryPolicy` are used up, the last error is
raised.

The loop is in :meth:`Transport.send` and not in urllib3's ``Retry``, which repeats a request only until the head of its
response has arrived: a large download, which is read piece by piece to report its progress, would fail when it breaks
off. ``Retry`` also does not pause before the second try, and does not count tries for the caller, who needs to know
that an earlier try may have succeeded (a deleted job, an uploaded blob). It parses ``Retry-After`` here, and nothing
else.
"""

from __future__ import annotations

import gzip
import logging
import random
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, cast, final
from urllib.parse import urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, SSLError
from urllib3.response import BaseHTTPResponse

from qiosk.client.remote.errors import error_of, retry_after
from qiosk.client.remote.proxies import is_loopback, pool_for
from qiosk.errors import QioskError, ServiceUnavailable, UnreadableInput
from qiosk.forks import PerProcess
from qiosk.version import __version__

_log = logging.getLogger(__name__)

OnBytes = Callable[[int, int], None]
"""Called with a transfer's bytes so far and in all (0: unknown)."""
OnTransfer = Callable[[str, int, int], None]
"""Called with a transfer's name, its bytes so far, and in all (0: unknown).

A transfer has ended when both numbers are equal; 0 of 0 means that it failed.
"""

PIECE_BYTES = 1 << 18
"""Bytes that are read or sent at a time."""
_RETRIED_STATUSES = (408, 502, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a request is tried, and how long the client waits. Times are in seconds.

    ``tries`` includes the first one; pauses are ``first_pause_s``, doubled each time up to ``longest_pause_s``.
    ``connect_s`` limits the time to connect, ``read_s`` the time without a byte while a response is awaited.
    """

    tries: int = 7
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0
    connect_s: float = 10.0
    read_s: float = 90.0

    def pause_s(self, failures: int) -> float:
        """The pause after so many failures (at least one): a random time between half the backoff and all of it."""
        backoff = min(self.longest_pause_s, self.first_pause_s * 2.0 ** (failures - 1))
        return backoff * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response. ``tries`` is how often the request was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    tries: int = 1

    def json(self) -> Any:
        """The body's JSON, which may be compressed with gzip. Raises UnreadableInput."""
        is_compressed = self.headers.get("Content-Encoding", "").lower() == "gzip"
        try:
            return msgspec.json.decode(gzip.decompress(self.body) if is_compressed else self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError, EOFError, zlib.error) as error:
            raise UnreadableInput(f"reply: is no JSON: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request. ``url`` is absolute; ``is_signed``: it contains its own credential, so the API key is not sent."""

    method: str
    url: str
    body: bytes | memoryview | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_signed: bool = False
    on_sent: OnBytes | None = None
    on_received: OnBytes | None = None


class Transport:
    """Sends requests to one server. Threads may share it; a forked child has connections of its own."""

    def __init__(
        self,
        base: str,
        *,
        api_key: str | None = None,
        user_agent: str | None = None,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        """``base``: the server's URL. ``api_key`` is sent there only, never to other hosts."""
        self.base = base.rstrip("/")
        self.retry_policy = retry_policy or RetryPolicy()
        self._sleep = time.sleep
        self._authorization: dict[str, str] = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        product = f"qiosk/{__version__}"
        self._user_agent = {"User-Agent": f"{user_agent} {product}" if user_agent else product}
        self._pool = PerProcess(lambda: _pool(self.base, self.retry_policy))
        if api_key is not None and base.startswith("http:") and not is_loopback(base):
            _log.warning("the api key goes to %s unencrypted: use https", self.base)

    def send(self, request: Request) -> Answer:
        """Send a request, again if necessary, until there is an answer.

        Raises the error in the server's response, or ServiceUnavailable if the server cannot be reached. If the
        request was sent more than once, the error's ``details`` contain ``tries``.
        """
        for tries in range(1, self.retry_policy.tries + 1):
            is_last = tries == self.retry_policy.tries
            pause_s = self.retry_policy.pause_s(tries)
            try:
                with self.open(request) as response:
                    if response.status < 300:
                        return Answer(response.status, response.headers, _read(response, request.on_received), tries)
                    failure: QioskError = error_of(response)
                    if response.status not in _RETRIED_STATUSES or is_last:
                        raise _with_tries(tries, failure)
                    pause_s = max(pause_s, retry_after(response))
            except HTTPError as error:
                failure = self.unreachable(request.url, error)
                if is_last or _is_bad_certificate(error):
                    raise failure from error
            _log.info("try %d of %s %s: %s", tries, request.method, _without_query(request.url), failure)
            self._sleep(pause_s)
        raise AssertionError("the last try returns or raises")

    def open(self, request: Request, *, read_timeout_s: float | None = None) -> BaseHTTPResponse:
        """The response to a request as soon as its head has arrived; the caller reads and closes it.

        Raises urllib3's HTTPError.
        """
        is_own = request.url.startswith(self.base + "/") and not request.is_signed
        headers = {**self._user_agent, **(self._authorization if is_own else {}), **request.headers}
        body: BytesIO | None = None
        if request.body is not None:
            headers["Content-Length"] = str(len(request.body))
            body = _Upload(request.body, request.on_sent) if request.on_sent else cast("Any", request.body)
        elif request.method in ("POST", "PUT"):
            headers["Content-Length"] = "0"
        timeout = None if read_timeout_s is None else urllib3.Timeout(self.retry_policy.connect_s, read_timeout_s)
        options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        return self._pool.get().request(
            request.method,
            request.url,
            body=body,
            headers=headers,
            preload_content=False,
            decode_content=False,
            redirect=False,  # a redirect would send the credential to another host
            **options,
        )

    def unreachable(self, url: str, error: Exception) -> ServiceUnavailable:
        """The error for a request that was not answered."""
        return ServiceUnavailable(f"server {_origin(url)} did not respond: {error}")

    def close(self) -> None:
        """Close the connections."""
        if (pool := self._pool.made) is not None:
            pool.clear()


@final
class Transfers:
    """Reports the progress of uploads and downloads to ``on_transfer``, if it is given."""

    def __init__(self, on_transfer: OnTransfer | None) -> None:
        self._on_transfer = on_transfer

    def report(self, name: str, size: int, total: int) -> None:
        """Report how many bytes of a transfer are done."""
        if self._on_transfer is not None:
            self._on_transfer(name, size, total)

    def part(self, name: str, before: int = 0, total: int | None = None) -> OnBytes | None:
        """A callback for one request of a transfer, of which ``before`` bytes are already done.

        Without a ``total``, the request's own size is that of the transfer.
        """
        if self._on_transfer is None:
            return None
        return lambda size, known: self.report(name, before + size, known if total is None else total)

    @contextmanager
    def reporting_failure(self, name: str) -> Iterator[None]:
        """Report 0 of 0 bytes if the block raises."""
        try:
            yield
        except BaseException:
            self.report(name, 0, 0)
            raise


def whole_size(headers: Mapping[str, str]) -> int:
    """Bytes of the resource that a response contains, or contains a range of; 0 if its headers do not give them."""
    text = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else 0


def _pool(base: str, retry_policy: RetryPolicy) -> urllib3.PoolManager:
    """Connections to a server, through the proxy that the environment names for it, if any."""
    options: dict[str, Any] = {
        "maxsize": 16,
        "block": False,
        "blocksize": PIECE_BYTES,
        "retries": False,
        "timeout": urllib3.Timeout(connect=retry_policy.connect_s, read=retry_policy.read_s),
    }
    return pool_for(base, options)


def _with_tries(tries: int, error: QioskError) -> QioskError:
    if tries > 1:
        error.details["tries"] = tries
    return error


def _read(response: BaseHTTPResponse, on_received: OnBytes | None) -> bytes:
    if on_received is None:
        return response.read(decode_content=False)
    total = whole_size(response.headers)
    content = BytesIO()
    for piece in response.stream(PIECE_BYTES, decode_content=False):
        content.write(piece)
        on_received(content.tell(), total)
    return content.getvalue()  # no copy


def _is_bad_certificate(error: HTTPError) -> bool:
    return isinstance(error, SSLError) and isinstance(error.args[0], ssl.SSLCertVerificationError)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _without_query(url: str) -> str:
    return url.partition("?")[0]  # a query may contain a signature


class _Upload(BytesIO):
    """A body that reports how much of it was read for sending."""

    def __init__(self, data: bytes | memoryview, on_sent: OnBytes) -> None:
        super().__init__(data)
        self._size = len(data)
        self._on_sent = on_sent

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._on_sent(self.tell(), self._size)
        return piece
