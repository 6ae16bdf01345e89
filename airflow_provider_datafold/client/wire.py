"""The network connections of ``requests``, each request within one deadline.

``requests`` and ``urllib3`` alone start the timeout again with each address of a host and with
each byte, take the first interim response for the final one, log what a broken header holds, and
read lines of any length.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from airflow_provider_datafold.connection.settings import is_loopback
from airflow_provider_datafold.redaction.silence import silence

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LONGEST_LINE = 64 * 1024
_LONGEST_HEAD = 512 * 1024
"""Bytes of all lines of a head, or of the trailers."""

_MOST_INTERIM = 100
_Done = TypeVar("_Done")


class Exchange:
    """One request and its response: how long they may take, and the socket that they are on.

    :param seconds: how long, from looking up the host to the last byte of the response.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._handle: socket.socket | None = None
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._is_over = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make this the exchange of all that the thread sends meanwhile."""
        token = _EXCHANGE.set(self)
        try:
            yield
        finally:
            _EXCHANGE.reset(token)
            if self._handle is not None:
                self._handle.close()

    def break_off(self) -> None:
        """Let nothing more be sent or read; safe in the handler of a signal."""
        self._is_over = True
        # Ends what is done in a thread. Of all queues this one may be used in a signal's handler.
        self._done.put(TimeoutError("timed out"))
        if self._socket is not None:
            with suppress(OSError):
                # Not the TLS socket's own method, which would take the reader's state from it.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def left(self) -> float:
        """Return the seconds that are left.

        :raises TimeoutError: there are none, or the exchange was broken off.
        """
        left = self._end - time.monotonic()
        if left <= 0 or self._is_over:
            raise TimeoutError("timed out")
        return left

    def connect(self, host: str, port: int, options: Any) -> socket.socket:
        """Connect to the first address of a host that answers.

        :param host: a name or an address.
        :param port: the port.
        :param options: what to set on the socket.
        :return: the socket, with what is left of the time as its timeout.
        :raises OSError: no address answered in time.
        """
        addresses = self._look_up(host.strip("[]"), port)
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            connection = self._socket = socket.socket(family, kind, protocol)
            try:
                for option in options or ():
                    connection.setsockopt(*option)
                # An address that drops packets leaves time for the next one.
                connection.settimeout(self.left() / (len(addresses) - tried))
                connection.connect(address)
                connection.settimeout(self.left())
                # A handle of its own: TLS takes the socket away from this object.
                self._socket = self._handle = connection.dup()
                return connection
            except OSError as error:
                connection.close()
                failure = error
        raise failure

    def _look_up(self, host: str, port: int) -> list[Any]:
        def look_up() -> list[Any]:
            return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)

        # This machine itself needs no resolver that could hang.
        if is_loopback(host):
            return look_up()
        try:
            return self._wait_for(look_up)
        except UnicodeError:
            # Of a label that is empty or too long.
            raise socket.gaierror(socket.EAI_NONAME, "no such host") from None

    def connect_by(self, connect: Callable[[], socket.socket]) -> socket.socket:
        """Connect in a way that has timeouts of its own.

        :param connect: returns the socket.
        :return: the socket, with what is left of the time as its timeout.
        :raises TimeoutError: it took too long.
        """
        connection = self._socket = self._wait_for(connect)
        connection.settimeout(self.left())
        return connection

    def _wait_for(self, work: Callable[[], _Done]) -> _Done:
        """Do what knows no timeout of ours in a thread, and leave it alone if it takes too long."""

        def do() -> None:
            try:
                self._done.put(work())
            except Exception as error:
                self._done.put(error)

        threading.Thread(target=do, daemon=True).start()
        try:
            result = self._done.get(timeout=self.left())
        except queue.Empty:
            raise TimeoutError("timed out") from None
        if isinstance(result, Exception):
            raise result
        done: _Done = result
        return done

    def use(self, kept: socket.socket) -> None:
        """Send on a socket that is there already, unless the exchange is over.

        :param kept: the socket.
        :raises ConnectionError: there are bytes already that nobody asked for.
        :raises TimeoutError: the exchange was broken off, or its time is over.
        """
        self._socket = kept
        # urllib3 looks for them below TLS only.
        if isinstance(kept, ssl.SSLSocket) and kept.pending():
            raise ConnectionResetError("bytes before the request")
        self.left()

    def read_from(self, response_socket: socket.socket, file: Any) -> io.BufferedReader:
        """Make a reader for the response, which ends with the exchange.

        :param response_socket: the socket that the response comes on.
        :param file: reads from it.
        :return: the reader.
        """
        self._socket = response_socket
        return _Reader(_TimedReader(file.detach(), response_socket, self))

    @property
    def seconds(self) -> float:
        """How long the exchange could take at its beginning."""
        return self._seconds


_EXCHANGE: ContextVar[Exchange | None] = ContextVar("_EXCHANGE", default=None)

silence(("urllib3.connection", "urllib3.connectionpool"), _EXCHANGE.get)


class _TimedReader(io.RawIOBase):
    """Reads from a socket as long as an exchange may last.

    The timeout of a socket starts again with every byte, so a service that drips its response
    could hold a worker forever.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: Exchange) -> None:
        self._raw = raw
        self._sock = sock
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        self._sock.settimeout(self._exchange.left())
        try:
            return self._raw.readinto(buffer)
        finally:
            # As the next request on the connection expects it.
            self._sock.settimeout(self._exchange.seconds)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Reader(io.BufferedReader):
    """Reads no line, and no row of lines, that is longer than any of HTTP.

    Trailers have no limit in urllib3, nor lines before 2.8, and a head is in memory several times.
    """

    _in_a_row = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._in_a_row = 0
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        is_limited = size is not None and 0 <= size <= _LONGEST_LINE + 1
        line = super().readline(size if is_limited else _LONGEST_LINE)
        self._in_a_row += len(line)
        if self._in_a_row > _LONGEST_HEAD or (not is_limited and len(line) == _LONGEST_LINE):
            raise http.client.LineTooLong("line")
        return line


class _Response(http.client.HTTPResponse):
    """A response, from the service or from a proxy, that ends with its exchange."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        if exchange := _EXCHANGE.get():
            self.fp = exchange.read_from(sock, self.fp)

    def _read_status(self) -> tuple[str, int, str]:
        """Skip interim responses (RFC 9110, section 15.2): Python skips status 100 alone."""
        for _ in range(_MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 101 < status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("too many interim responses")

    def begin(self) -> None:
        """Read the head, and refuse one that is malformed: urllib3 would log the rest of it."""
        super().begin()
        if self.status == 101:
            # Nobody asked for another protocol; what follows is not HTTP.
            self.close()
            raise http.client.HTTPException("another protocol")
        if self.msg.defects or self.msg.get_payload():
            self.close()
            raise http.client.HTTPException("malformed header")


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        exchange = _EXCHANGE.get()
        if exchange is None:
            return super()._new_conn()
        try:
            return exchange.connect(self.host, self.port, self.socket_options)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "timed out") from error
        except OSError as error:
            raise NewConnectionError(self, "failed") from error

    def connect(self) -> None:
        """Connect, and send nothing if the exchange was broken off meanwhile."""
        super().connect()
        if exchange := _EXCHANGE.get():
            exchange.left()

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request, unless the exchange was broken off."""
        if (exchange := _EXCHANGE.get()) and self.sock is not None:
            exchange.use(self.sock)
        super().request(*args, **kwargs)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}


class Adapter(HTTPAdapter):
    """Makes connections that know of exchanges, with and without a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools for connections without a proxy."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        """Make the pools for connections through a proxy."""
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        else:
            manager.pool_classes_by_scheme = {
                scheme: _with_our_connections(pool)
                for scheme, pool in manager.pool_classes_by_scheme.items()
            }
        return manager


class _SocksConnection(HTTPConnection):
    """Goes through a SOCKS proxy: PySocks starts its timeout again with each byte of the proxy."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        exchange = _EXCHANGE.get()
        if exchange is None:
            return super()._new_conn()
        try:
            return exchange.connect_by(super()._new_conn)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "timed out") from error


def _with_our_connections(pool: Any) -> Any:
    """Make a kind of pool for a SOCKS proxy, whose connections urllib3 makes in its own way."""
    if issubclass(pool.ConnectionCls, _SocksConnection):
        return pool
    connection = type("_Connection", (_SocksConnection, pool.ConnectionCls), {})
    return type("_Pool", (pool,), {"ConnectionCls": connection})
