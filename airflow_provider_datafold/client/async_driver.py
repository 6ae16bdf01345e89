"""Carries conversations in an event loop.

It is imported where it is needed: a worker that defers nothing never loads it. Every request ends
in a :class:`~airflow_provider_datafold.client.response.Response` or in one of this provider's
errors: other exceptions may quote the request, and with it a secret.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import sys
from contextlib import ExitStack
from typing import Any

import anyio
import h11

from airflow_provider_datafold.api.operation import Operation, Request, Returned
from airflow_provider_datafold.client import failure, pool
from airflow_provider_datafold.client.channel import Message
from airflow_provider_datafold.client.conversation import Conversation, Pause, converse
from airflow_provider_datafold.client.failure import Causes
from airflow_provider_datafold.client.pool import Pool, Progress
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.client.route import Route
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.frames import frameless
from airflow_provider_datafold.redaction.guard import guarded

_log = logging.getLogger(__name__)
_HAVE_A_BODY = ("POST", "PUT", "PATCH")


class AsyncClient:
    """Calls Datafold from an event loop.

    What it opens is shared with the other clients of the same settings, and closed with the last
    of them. A client is in use during a call, and within ``async with``.

    :param settings: of the connection to use.
    :param user_agent: what to send as ``User-Agent``.
    :param waits_until: when a request stops waiting for its turn, in seconds since the epoch, for
        what can wait; ``None`` to send without taking turns.
    """

    def __init__(
        self, settings: Settings, user_agent: str, *, waits_until: float | None = None
    ) -> None:
        self._settings = settings
        self._user_agent = user_agent
        self._waits_until = waits_until
        self._in_use = ExitStack()

    async def __aenter__(self) -> AsyncClient:
        self._in_use.enter_context(pool.shared(self._settings))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._in_use.close()

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
        request = guarded(
            lambda: operation.request(body, **values), self._settings.api_key, body, values
        )
        returned: Returned = await self.run(converse(request, self._settings, _log))
        return returned

    async def run(self, conversation: Conversation) -> Any:
        """Do what a conversation says, until it ends.

        :param conversation: the conversation.
        :return: its result.
        :raises DatafoldError: it ended with that.
        """
        outcome = None
        with pool.shared(self._settings) as connections:
            while True:
                try:
                    step = conversation.send(outcome)
                except StopIteration as end:
                    return end.value
                if isinstance(step, Pause):
                    outcome = None
                    await asyncio.sleep(step.seconds)
                else:
                    outcome = await self._send(step.request, connections)

    async def _send(self, request: Request, connections: Pool) -> Response | DatafoldError:
        """Send a request once, and return whatever came of it."""
        outer = sys.exc_info()[1]
        progress = Progress()
        write = functools.partial(self._write, request)
        try:
            # Also for the wait for a turn and for the look-up of the host.
            with anyio.fail_after(self._settings.timeout + request.seconds_to_send):
                return await connections.send(request, write, progress, self._waits_until)
        except DatafoldError as error:
            failed = frameless(error)
        except TimeoutError:
            failed = progress.timed_out(self._settings)
        except Exception as error:
            failed = _translate(error, outer, progress, self._settings)
        except BaseException as error:
            # Cancelled, mostly. The frames below show the request.
            raise frameless(error, outer)  # noqa: B904
        # The status of a failure says enough, whatever became of its body.
        return progress.refusal or failed

    def _write(self, request: Request, route: Route) -> Message:
        headers = [
            *route.headers(),
            ("Accept", "application/json"),
            # Nothing is unpacked: a few kilobytes may become gigabytes.
            ("Accept-Encoding", "identity"),
            ("Authorization", f"Key {self._settings.api_key.reveal()}"),
            ("User-Agent", self._user_agent),
        ]
        if request.named is None:
            headers.append(("Connection", "close"))
        method, content = request.operation.method, b""
        if request.content is not None:
            # An event loop uploads no large files, so that these need not be read piece by piece.
            content = bytes(request.content.reveal())
            headers.append(("Content-Type", request.media_type))
        if content or method in _HAVE_A_BODY:
            headers.append(("Content-Length", str(len(content))))
        return Message(
            method, route.target(request.path), headers, content, request.operation.largest
        )


def _translate(
    error: Exception, outer: BaseException | None, progress: Progress, settings: Settings
) -> DatafoldError:
    """Say in the words of this provider what a foreign exception means."""
    causes = Causes(error, outer)
    if tls := failure.tls(causes):
        return tls
    if not isinstance(error, (h11.ProtocolError, OSError, ValueError)):
        return failure.unexpected(error)
    if progress.is_connected:
        return failure.broke()
    if isinstance(error, OSError):
        if settings.proxy is not None:
            return failure.proxy_unreachable()
        is_unknown = causes.first(socket.gaierror)
        return failure.no_such_host() if is_unknown else failure.unreachable(causes)
    return failure.address_unusable()
