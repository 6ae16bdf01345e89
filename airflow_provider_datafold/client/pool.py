"""The network connections to a host that all waits in an event loop share.

A few are kept open, and the one that was given back last is taken first, so that most of them fall
out of use and are closed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import h11
from anyio.lowlevel import RunVar

from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.client import failure, trust
from airflow_provider_datafold.client.channel import Channel, Message
from airflow_provider_datafold.client.response import Response, is_about
from airflow_provider_datafold.client.route import Route
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldAnswerError, DatafoldError

MOST_AT_ONCE = 50
"""Requests of those that take turns, and so connections that they open: with TLS each takes some
50 KB. A thousand waits that begin together would otherwise hold up the event loop, too."""

IDLE = 5.0
"""Seconds that an unused connection is kept open: some services close them after as many."""


class Progress:
    """How far a request got, for the one that does not end well."""

    def __init__(self) -> None:
        self.has_turn = False
        """Whether it need not wait for its turn any more."""
        self.is_connected = False
        """Whether the host, or the proxy, took the connection."""
        self.refusal: Response | None = None
        """The status of a refusal, which says enough, whatever becomes of its body."""

    def connect(self) -> None:
        """Note that the host, or the proxy, took the connection."""
        self.is_connected = True

    def refuse(self, answer: Response) -> None:
        """Note the status of a refusal."""
        self.refusal = answer

    def timed_out(self, settings: Settings) -> DatafoldError:
        """Say what the time was over for."""
        if self.is_connected:
            return failure.timed_out(settings)
        if not self.has_turn:
            return failure.no_turn(MOST_AT_ONCE)
        return failure.proxy_unreachable() if settings.proxy else failure.unreachable()


class Pool:
    """The connections of one Airflow connection in one event loop.

    :param settings: of the Airflow connection.
    """

    def __init__(self, settings: Settings) -> None:
        self.users = 0
        """Who uses it at the moment; it is closed with the last of them."""
        self._settings = settings
        self._turns = anyio.CapacityLimiter(MOST_AT_ONCE)
        self._kept: list[tuple[float, Channel]] = []
        self._trust: ssl.SSLContext | None = None
        self._sweep: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Close all connections."""
        for _, channel in self._kept:
            channel.close()
        if self._sweep is not None:
            self._sweep.cancel()

    async def send(
        self,
        request: Request,
        write: Callable[[Route], Message],
        progress: Progress,
        until: float | None,
    ) -> Response:
        """Send a request once, and read the response.

        What is known by its response may use a kept connection. If that has died, or brings
        something else, the request is sent again over a new one.

        :param request: the request.
        :param write: writes it.
        :param progress: how far it gets.
        :param until: when to stop waiting for a turn, in seconds since the epoch; ``None`` to wait
            for none.
        :return: the response.
        :raises DatafoldError: that failed; so do the errors of
            :meth:`~airflow_provider_datafold.client.channel.Channel.exchange`.
        """
        route = Route(self._settings)
        message = write(route)
        async with self._turn(until):
            progress.has_turn = True
            if request.named and (channel := self._take()):
                progress.is_connected = True
                if answer := await self._send_over_kept(channel, request, message):
                    return answer
                progress.is_connected = False
            return await self._send_over_new(request, message, route, progress)

    @asynccontextmanager
    async def _turn(self, until: float | None) -> AsyncIterator[None]:
        if until is None:
            yield
            return
        await self._take_turn(until)
        try:
            yield
        finally:
            self._turns.release()

    async def _take_turn(self, until: float) -> None:
        try:
            self._turns.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(max(0.0, until - time.time())) as patience:
                await self._turns.acquire()
            if patience.cancelled_caught:
                raise failure.no_turn(MOST_AT_ONCE) from None

    async def _send_over_kept(
        self, channel: Channel, request: Request, message: Message
    ) -> Response | None:
        """Return the response if it is certain that it is one to this request."""
        try:
            answer = await self._exchange(channel, request, message, lambda refusal: None)
        except (OSError, h11.ProtocolError, DatafoldAnswerError):
            return None
        # A service that has too much to do must not be asked again at once.
        return answer if is_about(answer, request) or answer.asks_to_wait else None

    async def _send_over_new(
        self, request: Request, message: Message, route: Route, progress: Progress
    ) -> Response:
        trusted = await trust.context(self._settings.verify) if route.needs_tls else None
        self._trust = trusted
        channel = await route.open(trusted, progress.connect)
        return await self._exchange(channel, request, message, progress.refuse)

    async def _exchange(
        self,
        channel: Channel,
        request: Request,
        message: Message,
        on_refusal: Callable[[Response], None],
    ) -> Response:
        """Send over a connection, and keep it if the response is to this request."""
        is_kept = False
        try:
            answer = await channel.exchange(message, on_refusal)
            is_kept = is_about(answer, request) and channel.begin_again()
            if is_kept:
                self._give_back(channel)
            return answer
        finally:
            # Also after a cancel: nobody knows what may still arrive.
            if not is_kept:
                channel.close()

    def _take(self) -> Channel | None:
        while self._kept:
            _, channel = self._kept.pop()
            # What the old certificates vouched for may be distrusted now.
            if channel.is_clean and channel.trust is self._trust:
                return channel
            channel.close()
        return None

    def _give_back(self, channel: Channel) -> None:
        self._kept.append((time.monotonic(), channel))
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(IDLE, self._close_unused)

    def _close_unused(self) -> None:
        self._sweep = None
        now = time.monotonic()
        while self._kept and self._kept[0][0] <= now - IDLE:
            self._kept.pop(0)[1].close()
        if self._kept:
            next_one = self._kept[0][0] + IDLE - now
            self._sweep = asyncio.get_running_loop().call_later(next_one, self._close_unused)


_pools: RunVar[dict[bytes, Pool]] = RunVar("_pools")
"""Those of an event loop."""


@contextmanager
def shared(settings: Settings) -> Iterator[Pool]:
    """Use the pool of an Airflow connection in this event loop.

    :param settings: of the Airflow connection. Others have another pool.
    """
    try:
        pools = _pools.get()
    except LookupError:
        pools = {}
        _pools.set(pools)
    key = _key(settings)
    pool = pools.get(key)
    if pool is None:
        pool = pools[key] = Pool(settings)
    pool.users += 1
    try:
        yield pool
    finally:
        pool.users -= 1
        if not pool.users:
            del pools[key]
            pool.close()


def _key(settings: Settings) -> bytes:
    """Return what tells settings, and processes after a fork, apart without showing secrets."""
    # In no variable, which a traceback may show.
    return hashlib.sha256(
        repr(
            (
                os.getpid(),
                settings,
                settings.api_key.reveal(),
                settings.proxy and settings.proxy.reveal(),
            )
        ).encode()
    ).digest()
