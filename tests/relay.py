"""Stands between a client and a service, and counts the connections."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, suppress


class Relay:
    """Forwards its own port on 127.0.0.1, both ways.

    :param port: the service's port on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._service = port
        self._stack = ExitStack()

    def __enter__(self) -> Relay:
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
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
                self.connections += 1
                service = socket.create_connection(("127.0.0.1", self._service))
                for source, target in ((client, service), (service, client)):
                    threading.Thread(target=_pump, args=[source, target], daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
