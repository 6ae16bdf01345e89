"""The bytes of a network connection in an event loop, with and without TLS.

asyncio's streams read ahead, and keep what a service sends unasked where nobody can see it: it
would be taken for the next response. These read only when they are told to, and say whether more
has arrived.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from airflow_provider_datafold.client.lookup import Address

Done = TypeVar("Done")

_PIECE = 64 * 1024
_HEAD_START = 0.25
"""Seconds until the next address of a host is tried, too (RFC 8305)."""


class Stream(Protocol):
    """Bytes to and from the other end."""

    async def send(self, data: bytes) -> None:
        """Send all of this."""

    async def receive(self) -> bytes:
        """Return what comes next, nothing at the end."""

    @property
    def has_arrived(self) -> bool:
        """Whether anything is there to receive, or the end."""

    def close(self) -> None:
        """Close the connection, whatever state it is in."""


class Plain:
    """A TCP connection.

    :param sock: a socket that does not block.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    async def send(self, data: bytes) -> None:
        """Send all of this."""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def receive(self) -> bytes:
        """Return what comes next, nothing at the end."""
        # What has arrived is read without a pause, and a fast sender would let nobody else run.
        await asyncio.sleep(0)
        return await asyncio.get_running_loop().sock_recv(self._socket, _PIECE)

    @property
    def has_arrived(self) -> bool:
        """Whether anything is there to receive, or the end."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._socket.close()


class Encrypted:
    """TLS inside another stream, which may be TLS to a proxy.

    :param stream: the other stream.
    :param context: which certificates are trusted.
    :param host: whose certificate is wanted.
    """

    def __init__(self, stream: Stream, context: ssl.SSLContext, host: str) -> None:
        self._stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def shake_hands(self) -> None:
        """Begin to encrypt.

        :raises ssl.SSLError: the other end is not to be trusted, or speaks no TLS.
        """
        await self._do(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send all of this."""
        await self._do(self._tls.write, data)

    async def receive(self) -> bytes:
        """Return what comes next, nothing at the end.

        Some proxies end the connection without the end of TLS. As with ``ssl.SSLSocket``, that is
        an end, too: what is cut off is no whole JSON.
        """
        try:
            return await self._do(self._tls.read, _PIECE)
        except ssl.SSLEOFError:
            return b""

    @property
    def has_arrived(self) -> bool:
        """Whether anything is there to receive, or the end, decrypted or not."""
        return self._tls.pending() > 0 or self._incoming.pending > 0 or self._stream.has_arrived

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self._stream.close()

    async def _do(self, work: Callable[..., Done], *arguments: Any) -> Done:
        """Do something for which TLS may have to receive first."""
        while True:
            try:
                done = work(*arguments)
            except ssl.SSLWantReadError:
                await self._flush()
                received = await self._stream.receive()
                if received:
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                await self._flush()
                return done

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._stream.send(self._outgoing.read())


async def connect(addresses: Sequence[Address]) -> Plain:
    """Connect to the address that accepts first; each one has a head start before the next.

    :param addresses: those of one host, at least one.
    :raises OSError: none accepts.
    """
    if len(addresses) == 1:
        return Plain(await _connect(addresses[0]))
    connected: list[socket.socket] = []
    failures: list[OSError] = []

    async def attempt(address: Address) -> None:
        try:
            connected.append(await _connect(address))
        except OSError as error:
            failures.append(error)

    waiting: set[asyncio.Task[None]] = set()
    try:
        for address in addresses:
            waiting.add(asyncio.create_task(attempt(address)))
            waiting = await _wait_for_one(waiting, _HEAD_START)
            if connected:
                break
        while waiting and not connected:
            waiting = await _wait_for_one(waiting, None)
        if not connected:
            raise failures[0]
        return Plain(connected.pop(0))
    finally:
        for task in waiting:
            task.cancel()
        for sock in connected:
            sock.close()


async def _wait_for_one(
    tasks: set[asyncio.Task[None]], seconds: float | None
) -> set[asyncio.Task[None]]:
    """Wait until one of some tasks has ended, and return the others."""
    _, others = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return others


async def _connect(address: Address) -> socket.socket:
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except BaseException:
        sock.close()
        raise
    return sock
