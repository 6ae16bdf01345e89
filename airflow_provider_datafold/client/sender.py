"""Send one request with ``requests``, in whatever thread.

Only this module and ``exchange`` know ``requests`` and ``urllib3``. Every request ends in a
:class:`~airflow_provider_datafold.client.response.Response` or in one of this provider's errors:
other exceptions may quote the request, and with it a secret.
"""

from __future__ import annotations

import re
import socket
import sys
from dataclasses import replace
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidHeader, InvalidProxyURL, InvalidSchema, ProxyError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
)

from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.client.exchange import Adapter, Exchange
from airflow_provider_datafold.client.failure import Causes, Failure, tls
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.connection.settings import Settings, is_loopback
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldConfigurationError,
    DatafoldError,
)
from airflow_provider_datafold.redaction.secret import frameless

_PROXY_REFUSES = re.compile(r"\b(401|403|407)\b")
"""Statuses of a proxy that refuses to forward the request."""

_CHUNK = 16 * 1024


class Sender:
    """Sends requests to Datafold over kept connections, in as many threads as ``most``."""

    def __init__(self, settings: Settings, user_agent: str, most: int = 1) -> None:
        self.session = _open_session(settings, user_agent, most)
        self._settings = settings

    def begin(self, request: Request) -> Exchange:
        """Begin the time that a request may take."""
        return Exchange(self._settings.timeout + request.seconds_to_send)

    def send(self, request: Request, exchange: Exchange) -> Response | DatafoldError:
        """Send a request once, and return the response or the error."""
        outer = sys.exc_info()[1]
        try:
            with exchange.running():
                return self._receive(request, exchange)
        except DatafoldError as error:
            return frameless(error)
        except Exception as error:
            return self._translate(error, Causes(error, outer))

    def give_up(self, exchange: Exchange) -> DatafoldError:
        """Break off a request whose time is over."""
        exchange.break_off()
        return self._timed_out() if exchange.has_sent else self._unreachable()

    def _receive(self, request: Request, exchange: Exchange) -> Response:
        # Prepared by hand: requests parses the URL five times, and makes cookies, for every poll.
        prepared = requests.PreparedRequest()
        prepared.method = request.operation.method
        prepared.url = self._settings.base_url + request.path
        prepared.prepare_headers({**self.session.headers})
        if request.content is not None:
            prepared.headers["Content-Type"] = request.media_type
            prepared.prepare_body(request.content.reveal(), files=None)
        prepared.prepare_auth(self.session.auth)
        with self.session.send(
            prepared, timeout=exchange.seconds, allow_redirects=False, stream=True
        ) as response:
            return _read(response, request.operation.largest, exchange)

    def _translate(self, error: Exception, causes: Causes) -> DatafoldError:
        """Return this provider's error for an exception of ``requests`` or ``urllib3``."""
        if found := tls(causes):
            return found
        if isinstance(error, (InvalidProxyURL, InvalidSchema)):
            return Failure.PROXY_UNUSABLE.error()
        # An InvalidHeader, which is about the response, is a ValueError, too.
        is_value = isinstance(error, ValueError) and not isinstance(error, InvalidHeader)
        if is_value and self.session.proxies:
            return Failure.PROXY_UNUSABLE.error()
        if not isinstance(error, (requests.RequestException, HTTPError, TimeoutError)):
            if isinstance(error, OSError):
                return Failure.CA_BUNDLE.error()
            return Failure.UNEXPECTED.error(name=type(error).__name__)
        if causes.first(ProxyError) and "Tunnel connection failed" in str(error):
            is_refused = _PROXY_REFUSES.search(str(error))
            return (Failure.PROXY_REFUSED if is_refused else Failure.PROXY_UNREACHABLE).error()
        if causes.first(NewConnectionError, ConnectTimeoutError):
            return self._unreachable(causes)
        if causes.first(ReadTimeoutError, TimeoutError):
            return self._timed_out()
        return Failure.BROKE.error()

    def _unreachable(self, causes: Causes | None = None) -> DatafoldError:
        if self.session.proxies:
            return Failure.PROXY_UNREACHABLE.error()
        if causes and causes.first(socket.gaierror):
            return Failure.NO_HOST.error()
        is_refused = causes and causes.first(ConnectionRefusedError)
        return Failure.UNREACHABLE.error(reason="refused" if is_refused else "timed out")

    def _timed_out(self) -> DatafoldError:
        return Failure.TIMED_OUT.error(seconds=self._settings.timeout)


class KeyAuth(requests.auth.AuthBase):
    """Adds the API key to each request to Datafold, and refuses requests to other hosts.

    The key is not a header of the session, so that printing the headers does not show it.
    """

    def __init__(self, settings: Settings) -> None:
        self._api_key = settings.api_key
        self._base_url = settings.base_url

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header that Datafold's contract asks for."""
        if not f"{request.url}/".startswith((f"{self._base_url}/", f"{self._base_url}?")):
            raise DatafoldConfigurationError(
                f"This session holds the API key of {self._base_url} and sends it nowhere else. "
                f"Nothing was sent."
            )
        request.headers["Authorization"] = f"Key {self._api_key.reveal()}"
        return request

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


class _Session(requests.Session):
    """Never parses a redirect's target.

    Even with ``allow_redirects=False`` ``requests`` reads the whole body of a redirect and parses
    its ``Location``.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _open_session(settings: Settings, user_agent: str, most: int) -> requests.Session:
    session = _Session()
    if not is_loopback(urlsplit(settings.base_url).hostname or ""):
        found = requests.utils.get_environ_proxies(settings.base_url)
        if proxy := requests.utils.select_proxy(settings.base_url, found):
            session.proxies = {"https": proxy, "http": proxy}
    # Else the environment's CA bundle would count before the connection's, and a .netrc before its
    # key.
    session.trust_env = False
    session.verify = settings.verify
    session.auth = KeyAuth(settings)
    session.headers.update(
        # No compression: a few kilobytes may unpack to gigabytes.
        {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": user_agent}
    )
    # No request sends cookies, so do not keep any.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = Adapter(pool_connections=1, pool_maxsize=most)
    for prefix in ("https://", "http://"):
        session.mount(prefix, adapter)
    return session


def _read(response: requests.Response, largest: int, exchange: Exchange) -> Response:
    answer = Response(response.status_code, response.headers, b"")
    content = bytearray()
    try:
        # Not more than has arrived: a read of a whole chunk would wait for it beyond the time.
        for piece in iter(lambda: response.raw.read1(_CHUNK, decode_content=False), b""):
            exchange.check()
            content += piece
            _check_size(len(content), largest, answer)
        exchange.check()
    except (OSError, HTTPError, DatafoldAnswerError):
        if answer.is_success:
            raise
        # The status of a refusal says enough, whatever becomes of its body.
        return answer
    return replace(answer, content=bytes(content))


def _check_size(size: int, largest: int, answer: Response) -> None:
    if size > largest:
        raise DatafoldAnswerError(
            f"{answer.status_code}, but the response is larger than {largest >> 20} MiB and was "
            f"not read. The request may have been carried out. Request less at a time, or check "
            f"the connection's host",
            status_code=answer.status_code,
        )
