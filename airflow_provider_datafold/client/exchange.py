"""One request and its response: how long they may take, and what ends them early."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

from requests.adapters import HTTPAdapter

from airflow_provider_datafold.redaction.redactor import silence


class Exchange:
    """A request that is under way."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """How long it may take."""
        self.has_sent = False
        """Whether anything was sent."""
        self._end = time.monotonic() + seconds
        self._is_over = False
        # A signal handler may break off what is just being broken off.
        self._lock = threading.RLock()
        self._socket: socket.socket | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Apply this exchange to everything that the thread sends meanwhile."""
        self.check()
        token = _EXCHANGE.set(self)
        try:
            yield
        finally:
            _EXCHANGE.reset(token)
            with self._lock:
                self._socket = None

    def break_off(self) -> None:
        """Let nothing more be sent or read; safe in a signal handler."""
        self._is_over = True
        with self._lock, suppress(OSError):
            if self._socket is not None:
                # Not by the method of a TLS socket, which would go on in plain text.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise ``TimeoutError`` if the exchange is over."""
        if self._is_over or time.monotonic() > self._end:
            raise TimeoutError("timed out")

    def send_over(self, connection: Any) -> None:
        """Break this connection off with the exchange; raise ``TimeoutError`` if that is over."""
        with self._lock:
            # TLS to a proxy is below that to the host.
            self._socket = getattr(connection, "socket", connection)
        # Only now: what is broken off from here on finds the socket.
        self.check()
        self.has_sent = True


_EXCHANGE: ContextVar[Exchange | None] = ContextVar("_EXCHANGE", default=None)

silence(("urllib3.connection", "urllib3.connectionpool"), _EXCHANGE.get)


class Adapter(HTTPAdapter):
    """Makes connections that tell the exchange when they send."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool for a request."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not isinstance(pool.ConnectionCls, partial):
            pool.ConnectionCls = partial(_connection, pool.ConnectionCls)
        return pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Check a proxy's certificate, too, which requests ignores if the host has no TLS."""
        super().cert_verify(conn, f"{conn.scheme}://", verify, cert)  # type: ignore[no-untyped-call]


def _connection(kind: Any, **options: Any) -> Any:
    connection = kind(**options)
    send = connection.send

    def send_in_exchange(data: Any) -> None:
        if connection.sock is None:
            connection.connect()
        if exchange := _EXCHANGE.get():
            exchange.send_over(connection.sock)
        send(data)

    connection.send = send_in_exchange
    return connection
