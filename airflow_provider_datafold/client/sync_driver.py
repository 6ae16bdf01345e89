"""Send the requests of a conversation with ``requests``, over one kept connection.

Only this module and ``deadline`` know ``requests`` and ``urllib3``. Every request ends in an
:class:`~airflow_provider_datafold.client.response.Response` or in one of this provider's errors:
other exceptions may quote the request, and with it a secret.
"""

from __future__ import annotations

import sys
import threading
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.exceptions import InvalidHeader, InvalidProxyURL, InvalidSchema, ProxyError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    ReadTimeoutError,
)

from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.client import failure
from airflow_provider_datafold.client.body import Body
from airflow_provider_datafold.client.conversation import Conversation, Pause
from airflow_provider_datafold.client.deadline import Adapter, Exchange
from airflow_provider_datafold.client.failure import Causes
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldConfigurationError,
    DatafoldError,
)
from airflow_provider_datafold.redaction.frames import frameless

_CHUNK = 16 * 1024


class Client:
    """Calls Datafold from one thread.

    :param settings: the settings of the connection to use.
    :param user_agent: the ``User-Agent`` header.
    """

    def __init__(self, settings: Settings, user_agent: str) -> None:
        self.session = _open_session(settings, user_agent)
        self._settings = settings
        self._exchange: Exchange | None = None
        self._is_stopped = False
        self._has_sent = False
        # Held until the client is stopped. Unlike an Event, it is safe in a signal handler.
        self._going = threading.Lock()
        self._going.acquire()

    def run(self, conversation: Conversation) -> Any:
        """Do what a conversation yields, until it ends.

        :param conversation: the conversation.
        :return: what it returns.
        :raises DatafoldError: the conversation raised it.
        """
        outcome = None
        while True:
            try:
                step = conversation.send(outcome)
            except StopIteration as end:
                return end.value
            if isinstance(step, Pause):
                outcome = None
                self._going.acquire(timeout=step.seconds)
            else:
                outcome = self._send(step.request)

    def stop(self) -> None:
        """Send nothing more, end a pause, abort a request that is in progress.

        A signal handler may call it, in the client's thread.
        """
        self._is_stopped = True
        if self._going.locked():
            self._going.release()
        if self._exchange is not None:
            self._exchange.break_off()

    def close(self) -> None:
        """Close the network connection; the next call opens a new one."""
        self.session.close()

    def _send(self, request: Request) -> Response | DatafoldError:
        """Send a request once, and return the response or the error."""
        outer = sys.exc_info()[1]
        if self._has_sent and not request.operation.effect.is_repeatable:
            # A kept connection may have ended, or hold bytes that look like a response, and this
            # request must not be sent twice.
            self.session.close()
        self._has_sent = True
        self._exchange = Exchange(self._settings.timeout + request.seconds_to_send)
        # Checked only now that stop() has an exchange to abort: a signal may arrive at any time.
        if self._is_stopped:
            return failure.stopped()
        try:
            with self._exchange.running():
                return self._receive(request)
        except DatafoldError as error:
            return frameless(error)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # No others: a signal handler, such as that of a timeout, raises what it likes in here.
            if self._is_stopped:
                return failure.stopped()
            return _translate(error, outer, self._settings)
        except BaseException as error:
            # The task timed out or was stopped. The frames below show the request.
            raise frameless(error, outer)  # noqa: B904
        finally:
            self._exchange = None

    def _receive(self, request: Request) -> Response:
        headers = {**self.session.headers}
        if request.content is not None:
            headers["Content-Type"] = request.media_type
        # Not prepared by the session, which takes three times as long.
        prepared = requests.PreparedRequest()
        prepared.prepare(
            request.operation.method,
            self._settings.base_url + request.path,
            headers,
            data=None if request.content is None else request.content.reveal(),
            auth=self.session.auth,
        )
        with self.session.send(
            prepared, timeout=self._settings.timeout, allow_redirects=False, stream=True
        ) as response:
            return _read(response, request.operation.largest)


class KeyAuth(requests.auth.AuthBase):
    """Adds the API key to each request to Datafold, and refuses requests to other hosts.

    The key is not a header of the session, so that printing the headers does not show it.

    :param settings: the settings of the connection to use.
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


def _open_session(settings: Settings, user_agent: str) -> requests.Session:
    session = _Session()
    # The settings already have the proxy and the CA bundle of the environment.
    session.trust_env = False
    if settings.proxy is not None:
        session.proxies = {"https": settings.proxy.reveal(), "http": settings.proxy.reveal()}
    session.verify = settings.verify
    session.auth = KeyAuth(settings)
    session.headers.update(
        # No compression: a few kilobytes may unpack to gigabytes.
        {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": user_agent}
    )
    # No request sends cookies, so do not keep any.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A hook belongs to one thread, and talks to one host.
    adapter = Adapter(pool_connections=1, pool_maxsize=1)
    for prefix in ("https://", "http://"):
        session.mount(prefix, adapter)
    return session


def _read(response: requests.Response, largest: int) -> Response:
    answer = Response(response.status_code, response.headers, b"")
    try:
        body = Body(answer, largest)
        for piece in response.raw.stream(_CHUNK, decode_content=False):
            body.add(piece)
        return body.response()
    except (OSError, HTTPError, ValueError, DatafoldAnswerError) as error:
        if not answer.is_success:
            # The status of an error is enough.
            return answer
        if isinstance(error, ValueError):
            # urllib3 does not check the size of a chunk.
            raise HTTPError("malformed chunk") from None
        raise


def _translate(error: Exception, outer: BaseException | None, settings: Settings) -> DatafoldError:
    """Return this provider's error for an exception of ``requests`` or ``urllib3``."""
    causes = Causes(error, outer)
    if tls := failure.tls(causes):
        return tls
    if isinstance(error, (InvalidProxyURL, InvalidSchema)):
        return failure.proxy_unusable()
    # An InvalidHeader, which is about the response, is a ValueError, too.
    if isinstance(error, ValueError) and not isinstance(error, InvalidHeader):
        return failure.proxy_unusable() if settings.proxy else failure.address_unusable()
    if not isinstance(error, (requests.RequestException, HTTPError)):
        return failure.ca_bundle()
    if settings.proxy is not None and (problem := _proxy_problem(error, causes)):
        return problem
    if causes.first(NameResolutionError):
        return failure.no_such_host()
    if causes.first(ConnectTimeoutError):
        return failure.unreachable(causes)
    if causes.first(ReadTimeoutError, TimeoutError):
        return failure.timed_out(settings)
    return failure.broke()


def _proxy_problem(error: Exception, causes: Causes) -> DatafoldError | None:
    """Return the proxy's error; ``None`` if the request may have gone through it."""
    if causes.first(ProxyError) and "Tunnel connection failed" in str(error):
        is_refused = failure.PROXY_REFUSES.search(str(error))
        return failure.proxy_refused() if is_refused else failure.proxy_unreachable()
    if causes.first(ConnectTimeoutError, NameResolutionError):
        return failure.proxy_unreachable()
    return None
