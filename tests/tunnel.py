"""A proxy on a port of 127.0.0.1 that really connects: by CONNECT, or as a SOCKS 5 server."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import ExitStack, suppress

PATIENCE = 20.0
"""Seconds after which an idle connection is closed, so that every thread ends."""

_MOST = 1 << 16


class Tunnel:
    """Forwards every connection to the same service, regardless of host and port.

    :param port: the service's port on 127.0.0.1.
    :param tls: how the proxy itself speaks TLS, ``None`` if it does not.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, int]] = []
        """Host and port of each requested connection."""
        self._service = port
        self._tls = tls
        self._stack = ExitStack()

    def __enter__(self) -> Tunnel:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self._stack.callback(listener.close)
        # A close alone would leave the thread in accept().
        self._stack.callback(listener.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.settimeout(PATIENCE)
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            self._forward(client)

    def _forward(self, client: socket.socket) -> None:
        # Unbuffered: the bytes after the request are not for the proxy.
        with client, client.makefile("rb", buffering=0) as stream:
            first = stream.read(1)
            if not (self._socks if first == b"\5" else self._connect)(client, stream):
                return
            with socket.create_connection(("127.0.0.1", self._service), PATIENCE) as service:
                # By one thread: two must not use the same TLS socket.
                while readable := _readable(client, service):
                    data = readable.recv(_MOST)
                    if not data:
                        return
                    (service if readable is client else client).sendall(data)

    def _connect(self, client: socket.socket, stream: socket.SocketIO) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += _exactly(stream, 1)
        host, _, port = head.split()[1].decode().rpartition(":")
        self.asked.append((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        return True

    def _socks(self, client: socket.socket, stream: socket.SocketIO) -> bool:
        _text(stream)
        client.sendall(b"\5\0")
        _, _, _, kind = _exactly(stream, 4)
        host = _text(stream).decode() if kind == 3 else socket.inet_ntoa(_exactly(stream, 4))
        self.asked.append((host, int.from_bytes(_exactly(stream, 2), "big")))
        client.sendall(b"\5\0\0\1" + bytes(6))
        return True


def _readable(client: socket.socket, service: socket.socket) -> socket.socket | None:
    """Return the first of the two that can be read; ``None`` if both are idle for too long."""
    if isinstance(client, ssl.SSLSocket) and client.pending():
        return client
    ready: list[socket.socket] = select.select([client, service], [], [], PATIENCE)[0]
    return ready[0] if ready else None


def _text(stream: socket.SocketIO) -> bytes:
    return _exactly(stream, _exactly(stream, 1)[0])


def _exactly(stream: socket.SocketIO, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += (more := stream.read(size - len(found)))
        if not more:
            raise OSError("the client is gone")
    return found
