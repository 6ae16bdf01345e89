"""Carry conversations in a task's own thread."""

from __future__ import annotations

import threading
from typing import Any

from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.client.conversation import Conversation, Pause
from airflow_provider_datafold.client.exchange import Exchange
from airflow_provider_datafold.client.failure import Failure
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.client.sender import Sender
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.redaction.secret import frameless


class Client:
    """Calls Datafold from one thread."""

    def __init__(self, settings: Settings, user_agent: str) -> None:
        self._sender = Sender(settings, user_agent)
        self.session = self._sender.session
        self._exchange: Exchange | None = None
        self._is_stopped = False
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
        # Read once: the client's own thread may end it meanwhile.
        if exchange := self._exchange:
            exchange.break_off()

    def close(self) -> None:
        """Close the network connection; the next call opens a new one."""
        self.session.close()

    def _send(self, request: Request) -> Response | DatafoldError:
        """Send a request once, and return the response or the error."""
        if not request.operation.effect.is_repeatable:
            # A kept connection may have ended, and then nobody knows whether the request arrived.
            self.session.close()
        exchange = self._exchange = self._sender.begin(request)
        # Checked only now that stop() has something to break off: a signal may arrive at any time.
        if self._is_stopped:
            return Failure.STOPPED.error()
        try:
            outcome = self._sender.send(request, exchange)
        except BaseException as error:
            # The task timed out or was stopped. The frames below show what was sent.
            raise frameless(error)  # noqa: B904
        finally:
            self._exchange = None
        if self._is_stopped and isinstance(outcome, DatafoldError):
            return Failure.STOPPED.error()
        return outcome
