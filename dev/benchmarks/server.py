"""A service on 127.0.0.1 that responds at once, in a process of its own.

It takes updates, or shows the jobs of :mod:`~dev.benchmarks.jobs`.

``python -m dev.benchmarks.server`` prints its port and serves until its standard input ends,
which happens at the latest when the process that started it ends. It is as small as possible,
because its cost is a part of every figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.request import urlopen

import trustme

from dev.benchmarks.jobs import JobService
from dev.benchmarks.limiter import FixedWindow
from dev.benchmarks.response import response
from dev.benchmarks.update import BODY

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_COUNTS = b"/counts"


_CLOSE = b"connection: close"
_BACKLOG = 2048
"""Connections that may come at once: a thousand triggers begin together."""

_UPDATED = response(
    "200 OK",
    json.dumps({"id": 7, **{name: BODY[name] for name in BODY if name != "token"}}).encode(),
)


@dataclass
class Counts:
    """The updates that the service saw.

    :param connections: how many connections they came over.
    :param requests: how many requests there were.
    :param updated: how many different integrations were updated.
    :param seconds: when each update was accepted, from the first request on.
    """

    connections: int = 0
    requests: int = 0
    updated: int = 0
    seconds: list[float] = field(default_factory=list)


class _Service(Protocol):
    def connected(self) -> None: ...
    def respond(self, head: bytes) -> bytes: ...


class _UpdateService:
    """Responds to requests, and counts the updates."""

    def __init__(self, per_second: int | None) -> None:
        self._limit = FixedWindow(per_second) if per_second else None
        self._first = 0.0
        self._paths: set[bytes] = set()
        self.counts = Counts()

    def connected(self) -> None:
        self.counts.connections += 1

    def respond(self, head: bytes) -> bytes:
        method, path, _ = head.split(b" ", 2)
        if method != b"PUT":
            return response("200 OK", json.dumps(asdict(self.counts)).encode())
        now = time.monotonic()
        self._first = self._first or now
        self.counts.requests += 1
        if self._limit and (wait := self._limit.retry_after(now)) is not None:
            return response("429 Too Many Requests", b"{}", f"Retry-After: {wait}\r\n")
        if self._limit:
            self.counts.seconds.append(round(now - self._first, 3))
        self._paths.add(path)
        self.counts.updated = len(self._paths)
        return _UPDATED


class _Connection(asyncio.Protocol):
    """A connection that speaks as much of HTTP/1.1 as its clients need."""

    def __init__(self, service: _Service) -> None:
        self._service = service
        self._received = b""
        self._is_counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, is_whole, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not is_whole or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        if _COUNTS not in head and not self._is_counted:
            self._is_counted = True
            self._service.connected()
        self._transport.write(self._service.respond(head))
        if _CLOSE in head.lower():
            self._transport.close()


class Server:
    """The service as its user sees it.

    :param port: its port on 127.0.0.1.
    :param is_tls: whether it speaks TLS.
    """

    def __init__(self, port: int, *, is_tls: bool) -> None:
        self.url = f"{'https' if is_tls else 'http'}://localhost:{port}"

    def counts(self, context: ssl.SSLContext | None = None) -> Counts:
        """Return what the service counted.

        :param context: the TLS context that trusts the service, ``None`` for no TLS.
        :return: the counts since its start.
        """
        return Counts(**self.read(context))

    def read(self, context: ssl.SSLContext | None = None) -> dict[str, Any]:
        """Return what the service counted, of whatever kind it is.

        :param context: the TLS context that trusts the service, ``None`` for no TLS.
        :return: the counts since its start by name.
        """
        with urlopen(self.url + _COUNTS.decode(), context=context) as counted:
            found: dict[str, Any] = json.load(counted)
        return found


@contextmanager
def running(
    *, chain: Path | None = None, per_second: int | None = None, jobs: list[float] | None = None
) -> Iterator[Server]:
    """Run the service in a process of its own.

    :param chain: a PEM file with a key and a certificate for localhost, ``None`` for no TLS.
    :param per_second: how many updates it allows in a second, ``None`` for no limit.
    :param jobs: the jobs that it shows by their seconds, ``None`` where it takes updates.
    :return: the service, until the context ends.
    """
    command = [sys.executable, "-m", "dev.benchmarks.server"]
    command += ["--chain", str(chain)] if chain else []
    command += ["--per-second", str(per_second)] if per_second else []
    command += ["--jobs", *map(str, jobs)] if jobs else []
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield Server(int(process.stdout.readline()), is_tls=chain is not None)


def certificates(folder: Path) -> tuple[Path, Path]:
    """Make what a service needs for TLS.

    :param folder: where to put it.
    :return: a file with a key and a certificate for localhost, and one with the CA's.
    """
    chain, ca = folder / "chain.pem", folder / "ca.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(chain))
    return chain, ca


async def _serve(service: _Service, chain: Path | None) -> None:
    context = None
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(service), "127.0.0.1", 0, ssl=context, backlog=_BACKLOG
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.server")
    parser.add_argument("--chain", type=Path)
    parser.add_argument("--per-second", type=int)
    parser.add_argument("--jobs", type=float, nargs="*")
    arguments = parser.parse_args()
    service = JobService(arguments.jobs) if arguments.jobs else _UpdateService(arguments.per_second)
    asyncio.run(_serve(service, arguments.chain))


if __name__ == "__main__":
    _main()
