"""A service on 127.0.0.1 that responds at once or after a pause, in a process of its own.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen

import trustme

from dev.benchmarks.jobs import JobService

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_COUNTS = "/counts"
_CLOSE = b"connection: close"
_BACKLOG = 2048
"""Connections that may come at once: a thousand triggers begin together."""
_UPDATED = b'{"id": 7, "bindings": [{"remoteId": "1", "boundIds": [1, 2]}], "indexing_cron": null}'


class _Connection(asyncio.Protocol):
    """A connection that speaks as much of HTTP/1.1 as its clients need."""

    def __init__(self, respond: Callable[[bytes], bytes], pause: float) -> None:
        self._respond = respond
        self._pause = pause
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, is_whole, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not is_whole or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        if self._pause and _COUNTS.encode() not in head:
            asyncio.get_running_loop().call_later(self._pause, self._answer, head)
        else:
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        content = self._respond(head)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(content), content)
        )
        if _CLOSE in head.lower():
            self._transport.close()


class Server:
    """The service as its user sees it.

    :param port: its port on 127.0.0.1.
    :param is_tls: whether it speaks TLS.
    """

    def __init__(self, port: int, *, is_tls: bool) -> None:
        self.url = f"{'https' if is_tls else 'http'}://localhost:{port}"

    def counts(self, ca: str | None) -> dict[str, Any]:
        """Return what the service counted of its jobs, since its start.

        :param ca: file of the CA to trust, ``None`` for no TLS.
        """
        context = ssl.create_default_context(cafile=ca) if ca else None
        with urlopen(self.url + _COUNTS, context=context) as counted:
            found: dict[str, Any] = json.load(counted)
        return found


@contextmanager
def running(
    *, chain: Path | None = None, jobs: list[float] | None = None, pause: float = 0.0
) -> Iterator[Server]:
    """Run the service in a process of its own.

    :param chain: a PEM file with a key and a certificate for localhost, ``None`` for no TLS.
    :param jobs: the jobs that it shows by their seconds, ``None`` where it takes updates.
    :param pause: seconds before each response.
    :return: the service, until the context ends.
    """
    command = [sys.executable, "-m", "dev.benchmarks.server"]
    command += ["--chain", str(chain)] if chain else []
    command += ["--pause", str(pause)]
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


async def _serve(respond: Callable[[bytes], bytes], chain: Path | None, pause: float) -> None:
    context = None
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(respond, pause), "127.0.0.1", 0, ssl=context, backlog=_BACKLOG
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.server")
    parser.add_argument("--chain", type=Path)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--jobs", type=float, nargs="*")
    arguments = parser.parse_args()
    respond = JobService(arguments.jobs).respond if arguments.jobs else lambda _: _UPDATED
    asyncio.run(_serve(respond, arguments.chain, arguments.pause))


if __name__ == "__main__":
    _main()
