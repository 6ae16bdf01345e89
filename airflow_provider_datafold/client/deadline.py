"""The network connections of ``requests``, with one deadline for each request.

By themselves ``requests`` and ``urllib3`` restart the timeout with each address of a host and with
each byte, take the first interim response for the final one, log the contents of a malformed header
and read lines of any length.
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
from urllib3.util.ssltransport import SSLTransport

from airflow_provider_datafold.client import failure
from airflow_provider_datafold.connection.settings import is_loopback
from airflow_provider_datafold.redaction.silence import silence

if TYPE_CHECKING:
    from typing_extensions import Buffer

_LONGEST_LINE = 64 * 1024
_LONGEST_HEAD = 512 * 1024
"""The most bytes of all header lines, or of all trailers."""

_MOST_INTERIM = 100
_LOGIN = ("username", "password")
"""Options of a SOCKS proxy."""

_LONGEST_LOGIN = 127
"""Bytes of either. SOCKS allows 255, but PySocks sends the length as UTF-8."""

_Done = TypeVar("_Done")


class Exchange:
    """One request and its response: their deadline and their socket.

    :param seconds: how long they may take, from the lookup of the host to the last byte of the
        response.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._handle: socket.socket | None = None
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._is_over = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Apply this exchange to everything that the thread sends meanwhile."""
        token = _EXCHANGE.set(self)
        try:
            yield
        finally:
            _EXCHANGE.reset(token)
            if self._handle is not None:
                self._handle.close()

    def break_off(self) -> None:
        """Let nothing more be sent or read; safe in a signal handler."""
        self._is_over = True
        # Ends a wait for a thread. Only this kind of queue is safe in a signal handler.
        self._done.put(TimeoutError("timed out"))
        if self._socket is not None:
            with suppress(OSError):
                # Not the TLS socket's own method, which would drop the state that the reader needs.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def left(self) -> float:
        """Return the seconds that are left.

        :raises TimeoutError: there are none, or the exchange was aborted.
        """
        left = self._end - time.monotonic()
        if left <= 0 or self._is_over:
            raise TimeoutError("timed out")
        return left

    def connect(self, host: str, port: int, options: Any) -> socket.socket:
        """Connect to the first address of a host that accepts the connection.

        :param host: a name or an address.
        :param port: the port.
        :param options: arguments for ``setsockopt``.
        :return: the socket, with the remaining time as its timeout.
        :raises OSError: no address accepted in time.
        """
        addresses = self._look_up(host.strip("[]"), port)
        for tried, (family, kind, _, _, address) in enumerate(addresses):
            connection = self._socket = socket.socket(family, kind)
            try:
                for option in options or ():
                    connection.setsockopt(*option)
                # Leave time for the other addresses: this one may drop packets.
                connection.settimeout(self.left() / (len(addresses) - tried))
                connection.connect(address)
                return self._hold(connection)
            except OSError as error:
                connection.close()
                failure = error
        raise failure

    def _look_up(self, host: str, port: int) -> list[Any]:
        def look_up() -> list[Any]:
            return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)

        # A loopback address needs no resolver, which could hang.
        if is_loopback(host):
            return look_up()
        try:
            return self._wait_for(look_up)
        except UnicodeError:
            # A label of the name is empty or too long.
            raise socket.gaierror(socket.EAI_NONAME, "no such host") from None

    def connect_by(self, connect: Callable[[], socket.socket]) -> socket.socket:
        """Connect with a function that does not follow our timeout.

        :param connect: returns the socket.
        :return: the socket, with the remaining time as its timeout.
        :raises TimeoutError: it took too long.
        """
        return self._hold(self._wait_for(connect))

    def _hold(self, connection: socket.socket) -> socket.socket:
        connection.settimeout(self.left())
        # A second handle, because TLS detaches the first one from this object.
        self._socket = self._handle = connection.dup()
        return connection

    def _wait_for(self, work: Callable[[], _Done]) -> _Done:
        """Do work in a thread, which is left to itself if it takes too long."""

        def do() -> None:
            try:
                self._done.put(work())
            except Exception as error:
                self._done.put(error)

        try:
            threading.Thread(target=do, daemon=True).start()
        except RuntimeError:
            raise failure.no_thread() from None
        try:
            result = self._done.get(timeout=self.left())
        except queue.Empty:
            raise TimeoutError("timed out") from None
        if isinstance(result, Exception):
            raise result
        done: _Done = result
        return done

    def use(self, kept: Any) -> None:
        """Use a kept socket, unless the exchange is over.

        :param kept: the socket, or the TLS inside a proxy's TLS.
        :raises TimeoutError: the exchange was aborted, or its time is over.
        """
        self._socket = _socket_of(kept)
        self.left()

    def read_from(self, response_socket: Any, file: Any) -> io.BufferedReader:
        """Return a reader for the response, which ends with the exchange.

        :param response_socket: the socket of the response, or the TLS inside a proxy's TLS.
        :param file: reads from that socket.
        """
        return _Reader(_TimedReader(file.detach(), response_socket, self))


_EXCHANGE: ContextVar[Exchange | None] = ContextVar("_EXCHANGE", default=None)

silence(("urllib3.connection", "urllib3.connectionpool"), _EXCHANGE.get)


class _TimedReader(io.RawIOBase):
    """Reads from a socket until the exchange's deadline.

    The timeout of a socket restarts with every byte, so a service that sends its response one byte
    at a time could hold a worker forever.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: Exchange) -> None:
        self._raw = raw
        self._sock = sock
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int | None:
        self._sock.settimeout(self._exchange.left())
        read = self._raw.readinto(buffer)
        # After the response of a proxy, the handshake with the host has only the time that is left.
        self._sock.settimeout(self._exchange.left())
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Reader(io.BufferedReader):
    """Refuses lines and blocks of lines that are longer than HTTP ever needs.

    urllib3 has no limit for trailers, before 2.8 none for lines, and keeps several copies of a head
    in memory.
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
        """Skip interim responses (RFC 9110, section 15.2): Python skips only status 100."""
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
            # We asked for no other protocol, and what follows is not HTTP.
            self.close()
            raise http.client.HTTPException("another protocol")
        if self.msg.defects or self.msg.get_payload():
            self.close()
            raise http.client.HTTPException("malformed header")


class _ProxySocket(ssl.SSLSocket):
    """TLS to a proxy, for the TLS inside it: one record of that may take any number of reads."""

    def recv(self, *args: Any) -> bytes:
        if exchange := _EXCHANGE.get():
            self.settimeout(exchange.left())
        return super().recv(*args)


def _socket_of(connection: Any) -> socket.socket:
    """Return the socket of a connection: TLS inside a proxy's TLS is none itself."""
    found: socket.socket = connection.socket if isinstance(connection, SSLTransport) else connection
    return found


def _holds_bytes(connection: Any) -> bool:
    """Return whether TLS has read bytes that nobody has asked for."""
    if isinstance(connection, SSLTransport):
        return connection.sslobj.pending() > 0 or connection.incoming.pending > 0
    return isinstance(connection, ssl.SSLSocket) and connection.pending() > 0


class _ExchangeConnection(HTTPConnection):
    """A connection whose requests and responses end with their exchange."""

    response_class = _Response

    @property
    def is_connected(self) -> bool:
        """Whether the connection can be used again; urllib3 looks for bytes only below TLS."""
        return super().is_connected and not _holds_bytes(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request, unless the exchange was aborted."""
        if (exchange := _EXCHANGE.get()) and self.sock is not None:
            exchange.use(self.sock)
        # urllib3 then reads what the service said before it closed, as it does without TLS.
        with suppress(ssl.SSLError):
            super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Send a part of a request, as long as time is left."""
        if self.sock is None:
            self.connect()
        if exchange := _EXCHANGE.get():
            self.sock.settimeout(exchange.left())
        super().send(data)


class _Connection(_ExchangeConnection):
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


class _SecureConnection(_Connection, HTTPSConnection):
    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> Any:
        connection = super()._connect_tls_proxy(hostname, sock)
        # A context of our own could make one, but not know whether to check certificates.
        connection.__class__ = _ProxySocket
        return connection


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}


class Adapter(HTTPAdapter):
    """Makes connections that follow exchanges, with and without a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools for connections without a proxy."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Check a proxy's certificate, too, which requests ignores if the host has no TLS."""
        super().cert_verify(conn, f"{conn.scheme}://", verify, cert)  # type: ignore[no-untyped-call]

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


class _SocksConnection(_ExchangeConnection):
    """Connects through a SOCKS proxy: PySocks restarts its timeout with each byte of the proxy."""

    _socks_options: dict[str, str | None]

    def _new_conn(self) -> socket.socket:
        if any(len((self._socks_options[name] or "").encode()) > _LONGEST_LOGIN for name in _LOGIN):
            raise failure.proxy_unusable()
        exchange = _EXCHANGE.get()
        if exchange is None:
            return super()._new_conn()
        try:
            return exchange.connect_by(super()._new_conn)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "timed out") from error


def _with_our_connections(pool: Any) -> Any:
    """Return a pool class for a SOCKS proxy, for which urllib3 has its own connection class."""
    if issubclass(pool.ConnectionCls, _SocksConnection):
        return pool
    connection = type("_Connection", (_SocksConnection, pool.ConnectionCls), {})
    return type("_Pool", (pool,), {"ConnectionCls": connection})
