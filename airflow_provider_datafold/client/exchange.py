"""One request and its response: how long they may take, and what ends them early.

A thread carries an exchange and may hang, in a look-up for example; somebody else waits for it, and
gives it up with :meth:`Exchange.break_off`. By themselves ``requests`` and ``urllib3`` restart the
timeout with each address and each byte, and take the first interim response for the final one.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import PoolManager, ProxyManager
from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport

from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.redaction.redactor import silence

_OLDEST = 60.0
"""Seconds after which a connection is not used again, so that new addresses of a host and new CA
certificates take effect."""


class Exchange:
    """A request that is under way."""

    def __init__(self, seconds: float, *, is_fresh: bool = False) -> None:
        self.seconds = seconds
        """How long it may take, from the look-up of the host to the last byte."""
        self.is_fresh = is_fresh
        """Whether it needs a connection that nothing was sent over before."""
        self.is_connecting = False
        """Whether the host, or the proxy, has yet to take the connection: nothing was sent."""
        self.refusal: Response | None = None
        """The status of a refusal, which says enough, whatever becomes of its body."""
        self._end = time.monotonic() + seconds
        self._is_over = False
        # A signal handler may break off what is just being broken off.
        self._lock = threading.RLock()
        self._held: Any = None
        self._handle: socket.socket | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Apply this exchange to everything that the thread sends meanwhile."""
        self.left()
        token = _EXCHANGE.set(self)
        try:
            yield
        finally:
            _EXCHANGE.reset(token)
            self._replace(None, None)

    def break_off(self) -> None:
        """Let nothing more be sent or read; safe in a signal handler."""
        self._is_over = True
        with self._lock, suppress(OSError):
            if self._handle is not None:
                self._handle.shutdown(socket.SHUT_RDWR)

    def left(self) -> float:
        """Return the seconds that are left, or raise ``TimeoutError`` if the exchange is over."""
        left = self._end - time.monotonic()
        if left <= 0 or self._is_over:
            raise TimeoutError("timed out")
        return left

    def hold(self, connection: Any) -> None:
        """Break this connection off with the exchange; raise ``TimeoutError`` if that is over."""
        if connection is not self._held:
            # A handle of its own, because TLS takes the socket out of its object.
            self._replace(connection, socket.socket(fileno=os.dup(connection.fileno())))
        # Only now: what is broken off from here on finds the handle.
        self.left()

    def _replace(self, held: Any, handle: socket.socket | None) -> None:
        with self._lock:
            if self._handle is not None:
                self._handle.close()
            self._held, self._handle = held, handle

    def connect(self, host: str, port: int, options: Any) -> socket.socket:
        """Connect to the first address of a host that accepts the connection."""
        addresses = socket.getaddrinfo(host.strip("[]"), port, 0, socket.SOCK_STREAM)
        for tried, (family, kind, _, _, address) in enumerate(addresses):
            connection = socket.socket(family, kind)
            try:
                self.hold(connection)
                for option in options or ():
                    connection.setsockopt(*option)
                # Leave time for the other addresses: this one may drop packets.
                connection.settimeout(self.left() / (len(addresses) - tried))
                connection.connect(address)
                connection.settimeout(self.left())
                return connection
            except OSError as error:
                connection.close()
                failure = error
        raise failure


_EXCHANGE: ContextVar[Exchange | None] = ContextVar("_EXCHANGE", default=None)

silence(("urllib3.connection", "urllib3.connectionpool"), _EXCHANGE.get)


class _Response(http.client.HTTPResponse):
    """A response of the service or of a proxy."""

    def _read_status(self) -> tuple[str, int, str]:
        """Skip interim responses (RFC 9110, section 15.2): Python skips only status 100."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 101 < status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Connection(HTTPConnection):
    """A connection whose requests and responses end with their exchange."""

    response_class = _Response
    _opened_at = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether the connection can be used again."""
        exchange = _EXCHANGE.get()
        return (
            not (exchange and exchange.is_fresh)
            and time.monotonic() - self._opened_at < _OLDEST
            # urllib3 looks for bytes only below TLS.
            and not _holds_bytes(self.sock)
            and super().is_connected
        )

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request, and read the response even if the service closed meanwhile."""
        # urllib3 does so without TLS.
        with suppress(ssl.SSLError):
            super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Send a part of a request, unless the exchange is over."""
        if self.sock is None:
            self.connect()
        if exchange := _EXCHANGE.get():
            exchange.hold(self.sock)
        super().send(data)

    def _new_conn(self) -> socket.socket:
        self._opened_at = time.monotonic()
        exchange = _EXCHANGE.get()
        if exchange is None:
            return super()._new_conn()
        exchange.is_connecting = True
        connection = self._reach(exchange)
        try:
            exchange.hold(connection)
        except TimeoutError:
            connection.close()
            raise
        exchange.is_connecting = False
        return connection

    def _reach(self, exchange: Exchange) -> socket.socket:
        return exchange.connect(self._dns_host, self.port, self.socket_options)


class _SocksConnection(_Connection):
    """A connection through a SOCKS proxy, which PySocks makes."""

    def _reach(self, exchange: Exchange) -> socket.socket:
        return super(_Connection, self)._new_conn()


def _holds_bytes(connection: Any) -> bool:
    """Return whether TLS has read bytes that nobody has asked for."""
    if isinstance(connection, SSLTransport):
        return connection.sslobj.pending() > 0 or connection.incoming.pending > 0
    return isinstance(connection, ssl.SSLSocket) and connection.pending() > 0


@cache
def _ours(pool: Any, kind: Any) -> Any:
    """Return a class of pools whose connections follow exchanges."""
    connection = type(kind.__name__, (kind, pool.ConnectionCls), {})
    return type("_Pool", (pool,), {"ConnectionCls": connection})


def _adopt(manager: PoolManager, kind: Any) -> None:
    pools: dict[str, Any] = manager.pool_classes_by_scheme
    if not any(issubclass(pool.ConnectionCls, _Connection) for pool in pools.values()):
        manager.pool_classes_by_scheme = {name: _ours(pools[name], kind) for name in pools}


class Adapter(HTTPAdapter):
    """Makes connections that follow exchanges, with and without a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools for connections without a proxy."""
        super().init_poolmanager(*args, **kwargs)
        _adopt(self.poolmanager, _Connection)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Check a proxy's certificate, too, which requests ignores if the host has no TLS."""
        super().cert_verify(conn, f"{conn.scheme}://", verify, cert)  # type: ignore[no-untyped-call]

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        """Make the pools for connections through a proxy."""
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        _adopt(manager, _Connection if isinstance(manager, ProxyManager) else _SocksConnection)
        return manager
