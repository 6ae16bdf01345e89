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
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from airflow_provider_datafold.api.operation import Operation, Request, Returned
from airflow_provider_datafold.client.conversation import Conversation, Pause, converse
from airflow_provider_datafold.client.exchange import Exchange
from airflow_provider_datafold.client.failure import Failure
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.client.sender import Sender
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.redactor import guarded

MOST_AT_ONCE = 20
"""Requests, and so threads and connections. As many again may be urgent."""

_GRACE = 1.0
"""Seconds after the end of a request in which its thread may say why."""

_log = logging.getLogger(__name__)


class AsyncClient:
    """Calls Datafold from an event loop.

    Threads and connections are shared with the other clients of the same settings, and end with
    the last of them. A client is in use during a call, and within ``async with``. ``waits_until``
    is when a request stops waiting for its turn, in seconds since the epoch.
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


class _Pool:
    """What the clients of the same settings share in an event loop."""

    def __init__(self, settings: Settings, user_agent: str) -> None:
        self.users = 0
        """Who uses it at the moment; it is closed with the last of them."""
        self._sender = Sender(settings, user_agent, MOST_AT_ONCE)
        self._patient = asyncio.Semaphore(MOST_AT_ONCE)
        self._urgent = asyncio.Semaphore(MOST_AT_ONCE)
        self._threads = ThreadPoolExecutor(2 * MOST_AT_ONCE, "datafold")

    def close(self) -> None:
        """Close all connections, and end each thread as soon as it has nothing to do."""
        self._sender.session.close()
        self._threads.shutdown(wait=False)

    async def send(
        self, request: Request, until: float | None, is_urgent: bool
    ) -> Response | DatafoldError:
        """Send a request once, in its turn; a cancel breaks it off, and waits for no thread."""
        turns = self._urgent if is_urgent else self._patient
        patience = None
        if until is not None and turns.locked():
            patience = max(0.0, until - time.time())
        try:
            await asyncio.wait_for(turns.acquire(), patience)
        except asyncio.TimeoutError:
            return Failure.NO_TURN.error(most=MOST_AT_ONCE)
        exchange = self._sender.begin(request)
        try:
            outcome = self._begin(request, exchange, turns)
            # Else a look-up that hangs, for example, would hold up the wait.
            done, _ = await asyncio.wait([outcome], timeout=exchange.seconds + _GRACE)
            return outcome.result() if done else self._sender.give_up(exchange)
        finally:
            exchange.break_off()

    def _begin(
        self, request: Request, exchange: Exchange, turns: asyncio.Semaphore
    ) -> asyncio.Future[Response | DatafoldError]:
        """Send a request in a thread. The turn ends with the thread, not with the caller."""
        loop = asyncio.get_running_loop()
        try:
            outcome = loop.run_in_executor(self._threads, self._sender.send, request, exchange)
        except RuntimeError:
            # The thread that is free next would send it.
            exchange.break_off()
            outcome = loop.create_future()
            outcome.set_result(Failure.NO_THREAD.error())
        outcome.add_done_callback(lambda _: turns.release())
        return outcome


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
