"""Carry conversations in an event loop, such as a triggerer's.

Pauses and waits for a turn are awaited in the loop. While bytes travel, a thread of ours sends, and
never one of asyncio's, which are few and shared by everything in the process: requests to a host
that hangs hold up others to the same host only.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from queue import SimpleQueue
from typing import Any

from airflow_provider_datafold.api.operation import Operation, Request, Returned
from airflow_provider_datafold.client import failure
from airflow_provider_datafold.client.conversation import Conversation, Pause, converse
from airflow_provider_datafold.client.exchange import Exchange
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.client.sender import Sender
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.redactor import guarded

MOST_AT_ONCE = 20
"""Requests, and so threads and connections. As many again may be urgent."""

_log = logging.getLogger(__name__)


class AsyncClient:
    """Calls Datafold from an event loop.

    Threads and connections are shared with the other clients of the same settings, and end with
    the last of them. A client is in use during a call, and within ``async with``.

    :param settings: of the connection to use.
    :param user_agent: what to send as ``User-Agent``.
    :param waits_until: when a request stops waiting for its turn, in seconds since the epoch;
        ``None`` for never.
    :param is_urgent: whether requests come before all others.
    """

    def __init__(
        self,
        settings: Settings,
        user_agent: str,
        *,
        waits_until: float | None = None,
        is_urgent: bool = False,
    ) -> None:
        self._settings = settings
        self._user_agent = user_agent
        self._waits_until = waits_until
        self._is_urgent = is_urgent
        self._in_use = ExitStack()

    async def __aenter__(self) -> AsyncClient:
        self._in_use.enter_context(_shared(self._settings, self._user_agent))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._in_use.close()

    async def call(
        self, operation: Operation[Returned], body: Any = OMITTED, /, **values: Any
    ) -> Returned:
        """Call an operation of Datafold's API: body, concealed, and fields of path and query."""
        request = guarded(
            lambda: operation.request(body, **values), self._settings.api_key, body, values
        )
        returned: Returned = await self.run(converse(request, self._settings, _log))
        return returned

    async def run(self, conversation: Conversation) -> Any:
        """Do what a conversation yields, until it ends, and return what it returns."""
        outcome = None
        with _shared(self._settings, self._user_agent) as pool:
            while True:
                try:
                    step = conversation.send(outcome)
                except StopIteration as end:
                    return end.value
                if isinstance(step, Pause):
                    outcome = None
                    await asyncio.sleep(step.seconds)
                else:
                    outcome = await pool.send(step.request, self._waits_until, self._is_urgent)


class _Turn:
    """A request that waits for its turn, or is under way."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.outcome: asyncio.Future[Response | DatafoldError] = (
            asyncio.get_running_loop().create_future()
        )
        self.exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None

    def settle(self, outcome: Response | DatafoldError) -> None:
        """Let the request end with this, unless it has ended already."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def after(self, seconds: float, do: Any) -> None:
        """Do something after a while, instead of what was to be done before."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(seconds, do)

    def stop(self) -> None:
        """Do nothing more after a while."""
        if self._timer is not None:
            self._timer.cancel()


class _Pool:
    """What the clients of the same settings share in an event loop."""

    def __init__(self, settings: Settings, user_agent: str) -> None:
        self.users = 0
        """Who uses it at the moment; it is closed with the last of them."""
        self._sender = Sender(settings, user_agent, MOST_AT_ONCE)
        self._loop = asyncio.get_running_loop()
        self._urgent, self._patient = deque[_Turn](), deque[_Turn]()
        self._begun = SimpleQueue[_Turn | None]()
        self._busy = self._threads = 0

    def close(self) -> None:
        """Close all connections, and end each thread as soon as it has nothing to do."""
        self._sender.session.close()
        for _ in range(self._threads):
            self._begun.put(None)

    async def send(
        self, request: Request, until: float | None, is_urgent: bool
    ) -> Response | DatafoldError:
        """Send a request once, in its turn; a cancel breaks it off, and waits for no thread."""
        turn = _Turn(request)
        if until is not None:
            no_turn = failure.no_turn(MOST_AT_ONCE)
            turn.after(max(0.0, until - time.time()), lambda: turn.settle(no_turn))
        (self._urgent if is_urgent else self._patient).append(turn)
        self._begin_more()
        try:
            return await turn.outcome
        finally:
            turn.stop()
            if turn.exchange is not None:
                turn.exchange.break_off()

    def _begin_more(self) -> None:
        for waiting, most in ((self._urgent, 2 * MOST_AT_ONCE), (self._patient, MOST_AT_ONCE)):
            while waiting and self._busy < most:
                turn = waiting.popleft()
                # Else nobody waits for it any more.
                if not turn.outcome.done():
                    self._begin(turn)

    def _begin(self, turn: _Turn) -> None:
        if self._threads <= self._busy:
            try:
                threading.Thread(target=self._carry, name="datafold", daemon=True).start()
            except RuntimeError:
                turn.settle(failure.no_thread())
                return
            self._threads += 1
        self._busy += 1
        # Connections are shared with other jobs, whose responses name them.
        exchange = self._sender.begin(turn.request, is_fresh=turn.request.named is None)
        turn.exchange = exchange
        turn.after(exchange.seconds, lambda: turn.settle(self._sender.give_up(exchange)))
        self._begun.put(turn)

    def _carry(self) -> None:
        """Send what has begun, in a thread."""
        while turn := self._begun.get():
            assert turn.exchange is not None  # noqa: S101 - _begin has set it
            outcome = self._sender.send(turn.request, turn.exchange)
            # The loop may be closed by now.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end, turn, outcome)
            del turn, outcome

    def _end(self, turn: _Turn, outcome: Response | DatafoldError) -> None:
        turn.settle(outcome)
        self._busy -= 1
        self._begin_more()


_pools: dict[Any, _Pool] = {}


@contextmanager
def _shared(settings: Settings, user_agent: str) -> Iterator[_Pool]:
    """Use the pool of these settings in this event loop and process."""
    key = (asyncio.get_running_loop(), os.getpid(), user_agent, _digest(settings))
    pool = _pools.get(key)
    if pool is None:
        pool = _pools[key] = _Pool(settings, user_agent)
    pool.users += 1
    try:
        yield pool
    finally:
        pool.users -= 1
        if not pool.users:
            del _pools[key]
            pool.close()


def _digest(settings: Settings) -> bytes:
    """Return what tells settings apart without showing the API key."""
    # In no variable, which a traceback may show.
    return hashlib.sha256(repr((settings, settings.api_key.reveal())).encode()).digest()
