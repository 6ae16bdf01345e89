"""One HTTP request over a kept session, within limits of time and size.

Everything that ``requests`` and ``urllib3`` know is in here. Whatever happens comes out as an
:class:`~airflow_provider_datafold.answer.Answer` or as an error of this provider's family:
foreign exceptions may quote the request, and with it a secret.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader, ProxyError
from requests.utils import get_environ_proxies
from urllib3 import (
    HTTPConnectionPool,
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

if TYPE_CHECKING:
    from typing_extensions import Buffer

LARGEST_ANSWER = 10 * 1024 * 1024
"""Bytes. A list of integrations is a few kilobytes; more than this is no answer of the API."""

_CHUNK = 16 * 1024
_PROXY_REFUSED = re.compile(r"Tunnel connection failed: (401|403|407)\b")
_TLS_BROKE = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class KeyAuth(requests.auth.AuthBase):
    """Puts the API key into each request.

    An object rather than a header of the session, so that the key is not among the headers that
    whoever looks at the session sees.

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
    # The environment is asked once, not with each request, and never against the connection.
    session.trust_env = False
    # What stays on this machine is no business of a proxy.
    session.proxies = {} if settings.is_loopback else get_environ_proxies(settings.base_url)
    session.verify = _ca_of_environment() if settings.verify is None else settings.verify
    session.auth = KeyAuth(settings.api_key)
    session.headers.update({"Accept": "application/json", "User-Agent": user_agent})
    # A hook belongs to one thread, and talks to one host.
    adapter = _TimedAdapter(pool_connections=1, pool_maxsize=1)
    for prefix in ("https://", "http://"):
        session.mount(prefix, adapter)
    return session


def _ca_of_environment() -> str | bool:
    """Say whom ``requests`` would trust."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True


def exchange(
    session: requests.Session, settings: Settings, method: str, path: str, body: bytes | None
) -> Answer:
    """Send one request and read the whole answer, or give up when its time is over.

    The connection may take ``settings.timeout`` seconds, and so may the answer as a whole.

    :param session: a session from :func:`open_session`; its headers, authentication, proxies and
        certificates count, its cookies, parameters and hooks do not.
    :param settings: where to, how long to wait, which certificates to trust.
    :param method: the HTTP method.
    :param path: the path on Datafold's host, with a leading slash.
    :param body: the JSON to send, already encoded.
    :return: the answer, whatever its status; a redirect is an answer too. The body of an
        answer other than 2xx is empty when it can't be had.
    :raises DatafoldError: there is no whole answer. The text tells only what went wrong.
    """
    headers = {**session.headers}
    if body is not None:
        headers["Content-Type"] = "application/json"
    # The session would take three times as long, to merge cookies, parameters and hooks.
    request = requests.PreparedRequest()
    try:
        request.prepare(method, settings.base_url + path, headers, data=body, auth=session.auth)
        with session.send(
            request, timeout=settings.timeout, allow_redirects=False, stream=True
        ) as response:
            return _read(response)
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        # The texts of foreign errors may quote the request.
        raise _translate(error, settings) from None


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
        # Else the request may have gone out before the proxy closed the connection.
        if cause(ConnectTimeoutError) or "Tunnel connection failed" in str(error):
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


class _TimedReader(io.RawIOBase):
    """Reads from a socket for so long in all.

    The timeout of a socket starts again with every byte, so a service that drips its answer
    could hold a worker for ever.

    :param raw: reads from the socket.
    :param sock: the socket, with the seconds as its timeout.
    :param seconds: how long from now.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, seconds: float) -> None:
        self._raw = raw
        self._sock = sock
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        try:
            return self._raw.readinto(buffer)
        finally:
            # As the next request on the connection expects it.
            self._sock.settimeout(self._seconds)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """An answer, from the service or from a proxy, whose time runs out as a whole."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        if (seconds := sock.gettimeout()) is not None:
            self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock, seconds))


class _TimedHTTPConnection(HTTPConnection):
    response_class = _TimedResponse


class _TimedHTTPSConnection(HTTPSConnection):
    response_class = _TimedResponse


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _TimedHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _TimedHTTPSConnection


_POOLS: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}


class _TimedAdapter(HTTPAdapter):
    """Makes connections whose answers run out of time, with and without a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        # The manager of a SOCKS proxy has pools of its own, which have to stay.
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager
