"""One HTTP request over a kept session, within limits of time and size.

Everything that ``requests`` and ``urllib3`` know is in here. Whatever happens comes out as an
:class:`~airflow_provider_datafold.answer.Answer` or as an error of this provider's family:
foreign exceptions may quote the request, and with it a secret.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader, ProxyError
from urllib3 import (
    HTTPConnectionPool,
    HTTPResponse,
    HTTPSConnectionPool,
    PoolManager,
    ProxyManager,
)
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NameResolutionError,
    ReadTimeoutError,
)

from airflow_provider_datafold.answer import Answer
from airflow_provider_datafold.connection import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldCertificateError,
    DatafoldConfigurationError,
    DatafoldConnectionError,
    DatafoldError,
    DatafoldTimeoutError,
    DatafoldUnreachableError,
)

LARGEST_ANSWER = 10 * 1024 * 1024
"""Bytes. A list of integrations is a few kilobytes; more than this is no answer of the API."""

_CHUNK = 16 * 1024
_PROXY_REFUSED = re.compile(r"Tunnel connection failed: (401|403|407)\b")
_NO_PROXIES: Any = {"http": None, "https": None, "all": None}
_TLS_BROKE = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class KeyAuth(requests.auth.AuthBase):
    """Puts the API key into each request.

    An object rather than a header of the session, because ``requests`` lets a ``.netrc`` entry
    for the host replace such a header.

    :param api_key: Datafold's API key.
    """

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header that Datafold's contract asks for."""
        request.headers["Authorization"] = f"Key {self._api_key}"
        return request

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class _Session(requests.Session):
    """Does not so much as look at where a redirect points.

    Told not to follow it, ``requests`` would still read the whole body of the redirect, however
    large, and parse its ``Location``.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def open_session(settings: Settings, user_agent: str) -> requests.Session:
    """Make a session that authenticates its requests and keeps its connections alive.

    :param settings: where to and with which key.
    :param user_agent: what to send as ``User-Agent``.
    :return: the session; nothing is sent yet.
    """
    session = _Session()
    session.auth = KeyAuth(settings.api_key)
    session.headers.update({"Accept": "application/json", "User-Agent": user_agent})
    for prefix in ("https://", "http://"):
        session.mount(prefix, _DeadlineAdapter())
    return session


def exchange(
    session: requests.Session, settings: Settings, method: str, path: str, body: bytes | None
) -> Answer:
    """Send one request and read the whole answer, or give up when its time is over.

    The connection may take ``settings.timeout`` seconds, and so may the answer as a whole.

    :param session: a session from :func:`open_session`.
    :param settings: where to, how long to wait, which certificates to trust.
    :param method: the HTTP method.
    :param path: the path on Datafold's host, with a leading slash.
    :param body: the JSON to send, already encoded.
    :return: the answer, whatever its status; a redirect is an answer too. The body of an
        answer other than 2xx is empty when it can't be had.
    :raises DatafoldError: there is no whole answer. The text tells only what went wrong.
    """
    with _Deadline() as deadline:
        try:
            with session.request(
                method,
                settings.base_url + path,
                data=body,
                headers=None if body is None else {"Content-Type": "application/json"},
                timeout=settings.timeout,
                allow_redirects=False,
                stream=True,
                # With the request, because the environment would override the session's.
                verify=settings.verify,
                # What stays on this machine is no business of a proxy.
                proxies=_NO_PROXIES if settings.is_loopback else None,
            ) as response:
                answer = _read(response)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            problem = _translate(error, settings)
            # A connection that was cut looks like one that broke.
            if deadline.is_over and not isinstance(problem, DatafoldUnreachableError):
                problem = _too_late(settings)
            # The texts of foreign errors may quote the request.
            raise problem from None
        if deadline.is_over and answer.is_success:
            raise _too_late(settings)
        return answer


def _read(response: requests.Response) -> Answer:
    answer = Answer(response.status_code, response.headers, b"")
    try:
        return replace(answer, content=b"".join(_limited(response)))
    except (requests.RequestException, DatafoldAnswerError):
        if answer.is_success:
            raise
        return answer


def _limited(response: requests.Response) -> Iterator[bytes]:
    announced = response.headers.get("Content-Length", "")
    # A float, because Python limits the digits of a text that becomes an integer.
    size = float(announced) if announced.isdecimal() else 0.0
    if size <= LARGEST_ANSWER:
        size = 0.0
        for chunk in response.iter_content(_CHUNK):
            size += len(chunk)
            if size > LARGEST_ANSWER:
                break
            yield chunk
    if size > LARGEST_ANSWER:
        raise DatafoldAnswerError(
            f"{response.status_code} with an answer of over {LARGEST_ANSWER >> 20} MiB, which "
            f"was not read. The request may have been carried out; no answer of Datafold's API "
            f"is that large, so check the host",
            status_code=response.status_code,
        )


def _too_late(settings: Settings) -> DatafoldTimeoutError:
    return DatafoldTimeoutError(
        f"no whole answer within {settings.timeout:g} s. Try again later, or give the "
        f"connection a larger 'timeout'"
    )


def _translate(error: Exception, settings: Settings) -> DatafoldError:
    """Say in the words of this provider what a foreign exception means."""
    causes = list(_causes(error))

    def cause(kind: type[BaseException]) -> Any:
        return next((found for found in causes if isinstance(found, kind)), None)

    if refused := cause(ssl.SSLCertVerificationError):
        return DatafoldCertificateError(
            f"the TLS certificate was refused ({refused.verify_message}). If a CA of your own "
            f"signed it, name the CA's file in the connection's 'ca_bundle'"
        )
    if (tls := cause(ssl.SSLError)) and not isinstance(tls, _TLS_BROKE):
        return DatafoldCertificateError(
            f"no TLS connection came about ({tls.reason}). Check that the host speaks https on "
            f"this port, and the file that 'ca_bundle' or REQUESTS_CA_BUNDLE names"
        )
    if cause(DecodeError):
        return DatafoldAnswerError(
            "the answer can't be unpacked as its Content-Encoding says. The request may have "
            "been carried out"
        )
    # That the answer's header is invalid is a ValueError, too.
    if isinstance(error, ValueError) and not isinstance(error, InvalidHeader):
        return DatafoldConfigurationError("the address can't be used. Check the connection's host")
    if not isinstance(error, (requests.RequestException, HTTPError)):
        return DatafoldConfigurationError(
            "the CA bundle can't be read. Check the file that 'ca_bundle' or REQUESTS_CA_BUNDLE "
            "names"
        )
    if cause(ProxyError):
        if _PROXY_REFUSED.search(str(error)):
            return DatafoldConfigurationError(
                "the proxy lets no connection through. Check its user and password in "
                "HTTPS_PROXY, whether it allows the host, and NO_PROXY, in the worker's "
                "environment"
            )
        return DatafoldUnreachableError(
            "the proxy gave no connection. Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the "
            "worker's environment"
        )
    if cause(NameResolutionError):
        return DatafoldUnreachableError(
            "there is no such host. Check the connection's host, then the network's DNS"
        )
    if cause(ConnectTimeoutError):
        refusal = cause(ConnectionRefusedError)
        return DatafoldUnreachableError(
            f"no connection came about ({'refused' if refusal else 'no answer in time'}). Check "
            f"the connection's host and port, and the network between"
        )
    if cause(ReadTimeoutError):
        return _too_late(settings)
    return DatafoldConnectionError(
        "the connection broke before the whole answer was there. Try again later"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk an exception and all that led to it.

    ``requests`` and ``urllib3`` hand on what they caught as a cause, as a context or as an
    argument, and not always without a circle.
    """
    pending: list[object] = [error]
    seen: set[int] = set()
    while pending:
        found = pending.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            pending += [*found.args, found.__cause__, found.__context__]


_attempt: ContextVar[_Deadline | None] = ContextVar("attempt", default=None)


class _Deadline:
    """Cuts a connection whose time is over.

    The timeouts of ``requests`` start again with every byte, so a service that drips its
    answer could hold a worker for ever. Only another thread can end such a wait.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._timer: threading.Timer | None = None

    def __enter__(self) -> _Deadline:
        self._token = _attempt.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _attempt.reset(self._token)
        self._stop()

    def watch(self, seconds: float, connected: Callable[[], socket.socket | None]) -> None:
        """Start anew: ``seconds`` from now, cut what is connected then."""
        self._stop()
        self._timer = threading.Timer(seconds, self._cut, [connected])
        self._timer.daemon = True
        self._timer.start()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _cut(self, connected: Callable[[], socket.socket | None]) -> None:
        self.is_over = True
        if (sock := connected()) is not None:
            # Shut down rather than closed, which would not wake up a reader. Not by the
            # method of a TLS socket, which would take the connection from under its reader.
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _DeadlineConnection(HTTPConnection):
    """Tells the attempt under way, if there is one, what it is waiting for."""

    def connect(self) -> None:
        self._watch(lambda: self.sock)
        super().connect()

    def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as in urllib3 itself
        # Held on to, because http.client lets go of it while the body is still being read.
        sock = self.sock
        self._watch(lambda: sock)
        return super().getresponse()

    def _watch(self, connected: Callable[[], socket.socket | None]) -> None:
        attempt = _attempt.get()
        if attempt is not None and isinstance(self.timeout, (int, float)):
            attempt.watch(self.timeout, connected)


class _DeadlineHTTPSConnection(_DeadlineConnection, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _DeadlineConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _DeadlineHTTPSConnection


_POOLS: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}


class _DeadlineAdapter(HTTPAdapter):
    """Makes connections that a deadline can cut, with and without a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        # The manager of a SOCKS proxy has pools of its own, which have to stay.
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager
