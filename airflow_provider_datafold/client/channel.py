"""One network connection, and the requests that go over it one after the other.

``h11`` writes and reads HTTP, and says whether anything came after a response.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h11

from airflow_provider_datafold.client.body import Body
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.client.stream import Stream

OLDEST = 60.0
"""Seconds after which a connection is not used again, so that new addresses of a host and new CA
certificates take effect."""

_LONGEST_HEAD = 100 * 1024
_MOST_HEADERS = 99
"""As many as ``http.client`` takes: its 100 count the empty line after them, too."""

_MOST_INTERIM = 100
"""As many interim responses as the other driver reads."""

_MOST_CHUNKS = 10_000
"""Chunks that a body may have, whatever its size: each costs as much time as kilobytes in one
piece."""

_BYTES_PER_CHUNK = 16
"""For each of these a body may have one chunk more."""

_STEPS_IN_A_ROW = 50
"""Steps of ``h11`` before others have their turn: 64 KiB may hold ten thousand events."""


@dataclass(frozen=True)
class Message:
    """A request as it is sent. It shows the API key.

    :param method: the HTTP method.
    :param target: the path, or the whole URL for a proxy that forwards.
    :param headers: the header fields.
    :param content: the body.
    :param largest: the most bytes that the response may have.
    """

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    content: bytes = b""
    largest: int = 0


class Channel:
    """A network connection.

    :param stream: its bytes.
    :param trust: which certificates were trusted when it was opened, ``None`` if that is no matter.
    """

    def __init__(self, stream: Stream, trust: ssl.SSLContext | None = None) -> None:
        self.trust = trust
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        self._opened_at = time.monotonic()
        self._steps = 0

    async def exchange(self, message: Message, on_refusal: Callable[[Response], None]) -> Response:
        """Send a request and read the whole response.

        :param message: the request.
        :param on_refusal: is told of a status that is not 2xx, before the body is read.
        :return: the response.
        :raises DatafoldAnswerError: the response is too large.
        :raises OSError: the connection broke.
        :raises h11.ProtocolError: the response is not HTTP, or ended too soon.
        """
        await self._send(message)
        response = await self._response()
        answer = Response(response.status_code, _fields(response), b"")
        if not answer.is_success:
            on_refusal(answer)
        return await self._complete(answer, message.largest)

    async def ask_for_tunnel(self, message: Message) -> int:
        """Ask a proxy to connect to a host.

        :param message: the request.
        :return: the HTTP status of the response.
        :raises OSError: as for :meth:`exchange`.
        :raises h11.ProtocolError: as for :meth:`exchange`.
        """
        await self._send(message)
        return (await self._response()).status_code

    @property
    def is_clean(self) -> bool:
        """Whether the connection is open, and nothing has arrived that nobody asked for."""
        return not self._stream.has_arrived and time.monotonic() - self._opened_at < OLDEST

    def begin_again(self) -> bool:
        """Prepare for the next request.

        :return: whether there may be one.
        """
        has_ended = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if not has_ended or self._http.trailing_data[0] or not self.is_clean:
            return False
        self._http.start_next_cycle()
        return True

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._stream.close()

    async def _send(self, message: Message) -> None:
        request = h11.Request(
            method=message.method, target=message.target, headers=list(message.headers)
        )
        events = [request, h11.Data(data=message.content), h11.EndOfMessage()]
        written = b"".join(self._http.send(event) or b"" for event in events)
        # A service may refuse a request before it has read all of it: its response says why.
        with suppress(OSError):
            await self._stream.send(written)

    async def _response(self) -> h11.Response:
        for _ in range(_MOST_INTERIM):
            event = await self._next_event()
            if len(event.headers) > _MOST_HEADERS:
                raise h11.RemoteProtocolError("too many headers")
            # Interim responses come before.
            if isinstance(event, h11.Response):
                return event
        raise h11.RemoteProtocolError("too many interim responses")

    async def _complete(self, answer: Response, largest: int) -> Response:
        body, chunks = Body(answer, largest), 0
        while True:
            event = await self._next_event()
            if isinstance(event, h11.EndOfMessage):
                return body.response()
            body.add(event.data)
            chunks += event.chunk_start
            if chunks > _MOST_CHUNKS + len(body) // _BYTES_PER_CHUNK:
                raise h11.RemoteProtocolError("too many chunks")

    async def _next_event(self) -> Any:
        while True:
            event = self._http.next_event()
            self._steps += 1
            if self._steps % _STEPS_IN_A_ROW == 0:
                await asyncio.sleep(0)
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._stream.receive())


def _fields(response: h11.Response) -> dict[str, str]:
    """Return the header fields by their usual names, e.g. ``Retry-After``."""
    fields: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("latin-1").title(), raw_value.decode("latin-1")
        # A caller that looks for one value must not find just one of two.
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields
