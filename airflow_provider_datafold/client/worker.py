"""Carry conversations in a task's own thread, which waits while another one sends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.client import failure
from airflow_provider_datafold.client.conversation import Conversation, Pause
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.client.sender import Sender
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldError


class Client:
    """Calls Datafold from one thread."""

    def __init__(self, settings: Settings, user_agent: str) -> None:
        self._sender = Sender(settings, user_agent)
        self.session = self._sender.session
        self._break_off: Callable[[], None] | None = None
        self._is_stopped = False
        self._has_sent = False
        # Held until the client is stopped. Unlike an Event, it is safe in a signal handler.
        self._going = threading.Lock()
        self._going.acquire()

    def run(self, conversation: Conversation) -> Any:
        """Do what a conversation yields, until it ends, and return what it returns."""
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
        """Send nothing more, end a pause, break off a request that is in progress.

        A signal handler may call it, in the client's thread.
        """
        self._is_stopped = True
        if self._going.locked():
            self._going.release()
        if self._break_off is not None:
            self._break_off()

    def close(self) -> None:
        """Close the network connection; the next call opens a new one."""
        self.session.close()

    def _send(self, request: Request) -> Response | DatafoldError:
        """Send a request once, and return the response or the error."""
        # A kept connection may have ended, or hold bytes that look like a response.
        is_fresh = self._has_sent and not request.operation.effect.is_repeatable
        self._has_sent = True
        exchange = self._sender.begin(request, is_fresh=is_fresh)
        # Only this kind of queue is safe in a signal handler.
        outcome: queue.SimpleQueue[Response | DatafoldError] = queue.SimpleQueue()

        def break_off() -> None:
            outcome.put(failure.stopped())
            exchange.break_off()

        self._break_off = break_off
        # Checked only now that stop() has something to break off: a signal may arrive at any time.
        if self._is_stopped:
            return failure.stopped()
        send = threading.Thread(
            target=lambda: outcome.put(self._sender.send(request, exchange)),
            name="datafold",
            daemon=True,
        )
        try:
            try:
                send.start()
            except RuntimeError:
                return failure.no_thread()
            return outcome.get(timeout=exchange.seconds)
        except queue.Empty:
            return self._sender.give_up(exchange)
        finally:
            # The task's time may be over, or a signal handler have raised something in here.
            exchange.break_off()
            self._break_off = None
