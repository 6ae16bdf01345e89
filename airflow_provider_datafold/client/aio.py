"""Carries conversations in an event loop, with ``httpx``.

Everything that ``httpx`` knows is in here, and it is imported where it is needed: a worker that
defers nothing never loads it. Each request has a connection of its own: polls are mostly further
apart than a connection is kept, a kept one costs a triggerer with a thousand waits six times the
memory, and bytes that a service sends after a response would be taken for the next one.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
import ssl
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import certifi
import httpx
from anyio.lowlevel import RunVar

from airflow_provider_datafold.api.operation import Operation, Request, Returned
from airflow_provider_datafold.client import failure
from airflow_provider_datafold.client.answer import Answer, announced_size, too_large
from airflow_provider_datafold.client.conversation import Conversation, Pause, converse
from airflow_provider_datafold.client.failure import Causes
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.secret import Secret
from airflow_provider_datafold.redaction.silence import silence

try:
    from socksio import SOCKSError
except ImportError:

    class SOCKSError(Exception):  # type: ignore[no-redef]
        """Stand in where there is no SOCKS library, so that nothing raises it."""


if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_log = logging.getLogger(__name__)
_MOST_HEADERS = 100
"""As many as ``http.client`` takes."""

_MOST_AT_ONCE = 100
"""Requests of those that take turns. A thousand waits that begin together would otherwise take
twice the memory, and hold up the event loop while their responses are read."""

_is_sending: ContextVar[bool] = ContextVar("_is_sending", default=False)
_turns: RunVar[dict[str, anyio.CapacityLimiter]] = RunVar("_turns")
"""By host, for each event loop: a host that hangs holds up no other."""


class AsyncClient:
    """Calls Datafold from an event loop.

    :param settings: of the connection to use.
    :param user_agent: what to send as ``User-Agent``.
    :param takes_turns: whether to send only while not too many others do, for what can wait.
    """

    def __init__(self, settings: Settings, user_agent: str, *, takes_turns: bool = False) -> None:
        self._settings = settings
        self._user_agent = user_agent
        self._takes_turns = takes_turns
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what is open."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    async def call(
        self, operation: Operation[Returned], body: Any = OMITTED, /, **values: Any
    ) -> Returned:
        """Call an operation of Datafold's API.

        :param operation: what is asked for.
        :param body: the body, concealed; none by default.
        :param values: the fields of path and query by name.
        :return: what the API returns, without secrets.
        :raises DatafoldError: any other failure; the class says which.
        """
        given = (body, values)
        make_request = functools.partial(operation.request, body, **values)
        returned: Returned = await self.carry(converse(make_request, self._settings, _log, given))
        return returned

    async def carry(self, conversation: Conversation) -> Any:
        """Do what a conversation says, until it ends.

        :param conversation: the conversation.
        :return: its result.
        :raises DatafoldError: it ended with that.
        """
        outcome = None
        while True:
            try:
                step = conversation.send(outcome)
            except StopIteration as end:
                return end.value
            if isinstance(step, Pause):
                outcome = None
                await asyncio.sleep(step.seconds)
            else:
                async with self._turn():
                    outcome = await self._send(step.request)

    def _turn(self) -> AbstractAsyncContextManager[object]:
        return _turn_of(self._settings.base_url) if self._takes_turns else nullcontext()

    async def _send(self, request: Request) -> Answer | DatafoldError:
        """Send a request once, and return whatever came of it."""
        outer = sys.exc_info()[1]
        progress = _Progress()
        token = _is_sending.set(True)
        try:
            with anyio.fail_after(self._settings.timeout):
                return await self._receive(request, progress)
        except DatafoldError as error:
            failed = error.with_traceback(None)
        except TimeoutError:
            failed = progress.timed_out(self._settings)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
            failed = _translate(error, outer, self._settings)
        except SOCKSError:
            failed = failure.proxy_unreachable()
        except BaseException as error:
            # Cancelled, mostly. The frames below show the request.
            error.__context__ = outer
            raise error.with_traceback(None)  # noqa: B904
        finally:
            _is_sending.reset(token)
            await self._drop_unfinished(progress)
        # The status of a failure says enough, whatever became of its body.
        return progress.refusal or failed

    async def _drop_unfinished(self, progress: _Progress) -> None:
        if progress.is_unfinished:
            # httpcore neither closes a connection whose handshake was cancelled nor gives its
            # place in the pool to the next one.
            self._transport = None
            await progress.close()

    async def _receive(self, request: Request, progress: _Progress) -> Answer:
        if self._transport is None:
            self._transport = await _open_transport(self._settings)
        headers = {
            "Accept": "application/json",
            # Nothing is unpacked: a few kilobytes may become gigabytes.
            "Accept-Encoding": "identity",
            "Authorization": f"Key {self._settings.api_key.reveal()}",
            "Connection": "close",
            "User-Agent": self._user_agent,
        }
        if request.content is not None:
            headers["Content-Type"] = "application/json"
        response = await self._transport.handle_async_request(
            httpx.Request(
                request.operation.method,
                self._settings.base_url + request.path,
                headers=headers,
                content=None if request.content is None else request.content.reveal(),
                extensions={"trace": progress.trace},
            )
        )
        try:
            if len(response.headers.raw) > _MOST_HEADERS:
                raise httpx.RemoteProtocolError("too many headers")
            answer = Answer(response.status_code, response.headers, b"")
            if not answer.is_success:
                progress.refusal = answer
            chunks = [chunk async for chunk in _limited(response, request.operation.largest)]
            progress.is_unfinished = False
            return replace(answer, content=b"".join(chunks))
        finally:
            await response.aclose()


def _turn_of(host: str) -> anyio.CapacityLimiter:
    try:
        turns = _turns.get()
    except LookupError:
        turns = {}
        _turns.set(turns)
    return turns.setdefault(host, anyio.CapacityLimiter(_MOST_AT_ONCE))


class _Progress:
    """How far a request got, for the one that does not end well."""

    def __init__(self) -> None:
        self.refusal: Answer | None = None
        self.is_unfinished = True
        self._is_connected = False
        self._stream: Any = None

    async def trace(self, event: str, info: Any) -> None:
        """Note whether the host, or the proxy, took the connection; httpcore tells."""
        if event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]
        if event.endswith(("connect_tcp.complete", "setup_socks5_connection.complete")):
            self._is_connected = True
        elif event.endswith("setup_socks5_connection.started"):
            self._is_connected = False

    async def close(self) -> None:
        """Close the connection, whatever state it is in."""
        if self._stream is not None:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()

    def timed_out(self, settings: Settings) -> DatafoldError:
        """Say what the time was over for."""
        if self._is_connected:
            return failure.timed_out(settings)
        return failure.proxy_unreachable() if settings.proxy else failure.unreachable()


_contexts: dict[bool | str, ssl.SSLContext] = {}


async def _open_transport(settings: Settings) -> httpx.AsyncHTTPTransport:
    # Reading the CA certificates takes tens of milliseconds: once, and not in the loop.
    if settings.verify not in _contexts:
        _contexts[settings.verify] = await anyio.to_thread.run_sync(_ssl_context, settings.verify)
    context = _contexts[settings.verify]
    return httpx.AsyncHTTPTransport(
        verify=context,
        trust_env=False,
        proxy=None if settings.proxy is None else _proxy(settings.proxy, context),
    )


def _proxy(url: Secret, context: ssl.SSLContext) -> httpx.Proxy:
    parts = urlsplit(url.reveal())
    if not parts.hostname:
        # Else httpx would connect to this machine.
        raise ValueError("no host")
    # Other proxies may have no context.
    return httpx.Proxy(url.reveal(), ssl_context=context if parts.scheme == "https" else None)


def _ssl_context(verify: bool | str) -> ssl.SSLContext:
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    path = certifi.where() if verify is True else verify
    if os.path.isdir(path):
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


async def _limited(response: httpx.Response, largest: int) -> AsyncIterator[bytes]:
    size = announced_size(response.headers)
    if size <= largest:
        size = 0.0
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - for mypy
        async for chunk in response.stream:
            size += len(chunk)
            if size > largest:
                break
            yield chunk
    if size > largest:
        raise too_large(response.status_code, largest)


def _translate(error: Exception, outer: BaseException | None, settings: Settings) -> DatafoldError:
    """Say in the words of this provider what a foreign exception means."""
    causes = Causes(error, outer)
    if tls := failure.tls(causes):
        return tls
    if isinstance(error, httpx.HTTPError):
        return _http_error(error, causes, settings)
    if isinstance(error, OSError):
        return failure.ca_bundle()
    return failure.proxy_unusable() if settings.proxy else failure.address_unusable()


def _http_error(error: httpx.HTTPError, causes: Causes, settings: Settings) -> DatafoldError:
    if isinstance(error, httpx.ProxyError):
        is_refused = failure.PROXY_REFUSES.search(str(error))
        return failure.proxy_refused() if is_refused else failure.proxy_unreachable()
    if not isinstance(error, httpx.ConnectError) or causes.first(*_BROKE):
        return failure.broke()
    if settings.proxy is not None:
        return failure.proxy_unreachable()
    return failure.no_such_host() if causes.first(socket.gaierror) else failure.unreachable(causes)


_BROKE = (ssl.SSLError, anyio.EndOfStream, anyio.BrokenResourceError)
"""What ends a connection that was there already."""


_LOGS = ("httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")
silence(_LOGS, _is_sending.get)
