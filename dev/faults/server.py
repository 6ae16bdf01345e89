"""Run a service that misbehaves as it is told, on a real socket of 127.0.0.1."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

_PATIENCE = 20.0
"""Seconds that the service waits for a client, so that every thread ends."""

_LONGEST_REQUEST = 1 << 20


@dataclass(frozen=True)
class Request:
    """Hold a request that arrived completely, with the names of its header fields in lower case.

    The method is ``CONNECT`` if a client uses the service as a proxy.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The whole request as a string, to search it for secrets."""
        return f"{self.target} {self.headers} {self.body.decode(errors='replace')}"


@dataclass(frozen=True)
class Call:
    """Hold the input of a behaviour: a request, if the service reads any, and another's URL."""

    request: Request | None
    elsewhere: str


class Then(Enum):
    """List what a behaviour may do other than to send, to wait and to close the connection."""

    RESET = "reset"
    KEEP = "keep"
    REFUSE = "refuse"
    """Stop listening for a moment, and go on."""


Step = bytes | float | Then
"""Bytes to send, seconds to wait, or what else to do."""

Behaviour = Callable[[Call], Iterable[Step]]
"""What the service does with one request, step by step; after the last it closes."""


class Door(Enum):
    """List how a service may accept connections: not at all, or with no room for one."""

    OPEN = "open"
    CLOSED = "closed"
    FULL = "full"


_REFUSES_FOR = 0.3


class FaultServer:
    """Run the service in threads of this process.

    :param behaviours: what to do with the first request, the second and so on; the last one also
        applies to all later requests.
    :param reads: whether it reads a request before it behaves. If not, a behaviour applies to a
        connection.
    """

    def __init__(
        self,
        behaviours: Sequence[Behaviour],
        *,
        reads: bool = True,
        door: Door = Door.OPEN,
        tls: ssl.SSLContext | None = None,
        elsewhere: str = "",
    ) -> None:
        self.requests: list[Request] = []
        self.connections = self.open = self.port = 0
        self._behaviours = behaviours
        self._reads = reads
        self._door = door
        self._tls = tls
        self._elsewhere = elsewhere
        self._done = 0
        self._is_refusing = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> FaultServer:
        self._stack.callback(self._stop_listening)
        self._stack.callback(self._closing.set)
        # Bound from the beginning, even if nothing listens.
        self._bind()
        if self._door is Door.FULL:
            self._fill()
        elif self._door is Door.OPEN:
            self._listener.listen(64)
            threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def refuse(self) -> None:
        """Refuse connections for a moment."""
        self._is_refusing = True
        self._stop_listening()

    def _bind(self) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]

    def _fill(self) -> None:
        self._listener.listen(0)
        # The queue takes one connection more than its backlog. This is one more than that.
        for _ in range(3):
            filler = self._stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._closing.is_set():
                self._take_connections()
                self._closing.wait(_REFUSES_FOR)
                self._is_refusing = False
                self._bind()
                self._listener.listen(64)

    def _take_connections(self) -> None:
        """Accept connections until the service refuses them for a while."""
        while not self._is_refusing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if not self._is_refusing:
                    raise
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _stop_listening(self) -> None:
        # A close alone would not end the wait for a connection.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        # Many faults make the client disconnect, or are about a client without TLS.
        with suppress(OSError), connection:
            connection.settimeout(_PATIENCE)
            # Or the second part of a response would wait for the ACK of its first.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._count(1)
            try:
                with connection, connection.makefile("rb") as stream:
                    while self._answer(connection, stream):
                        pass
            finally:
                self._count(-1)

    def _count(self, more: int) -> None:
        with self._lock:
            self.open += more

    def _answer(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """Behave once, and return whether the connection stays open."""
        request = _read(stream) if self._reads else None
        if self._reads and request is None:
            return False
        with self._lock:
            behave = self._behaviours[min(self._done, len(self._behaviours) - 1)]
            self._done += 1
            if request is not None:
                self.requests.append(request)
        for step in behave(Call(request, self._elsewhere)):
            if step is Then.KEEP:
                return True
            if step is Then.RESET:
                # Turns the close that follows into a reset.
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return False
            if step is Then.REFUSE:
                self.refuse()
            elif isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, (int, float)) and self._closing.wait(step):
                return False
        if not isinstance(connection, ssl.SSLSocket):
            connection.shutdown(socket.SHUT_WR)
            # Unread bytes would turn the close into a reset.
            while connection.recv(1 << 16):
                pass
        return False


def _read(stream: BinaryIO) -> Request | None:
    """Read a request; return ``None`` if the client sends none."""
    line = stream.readline(_LONGEST_REQUEST).decode("latin-1").split()
    if len(line) != 3:
        return None
    headers = {}
    while (field := stream.readline(_LONGEST_REQUEST).decode("latin-1").strip()) != "":
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Request(line[0], line[1], headers, body)
