"""One exchange: its time, its socket, and what ends it."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import requests

from airflow_provider_datafold.client.deadline import Adapter, Exchange
from dev.faults.behaviours import answers
from dev.faults.server import Door, FaultServer

HOST = "127.0.0.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0)) as listening:
        listening.settimeout(5)
        yield listening


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our socket, and the one of the other side."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def is_shut_down(listening: socket.socket) -> bool:
    """Accept a connection, and say whether the other side has ended it."""
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(5)
        return connection.recv(1) == b""


def addresses_of(*ports: int) -> list[Any]:
    return [socket.getaddrinfo(HOST, port, 0, socket.SOCK_STREAM)[0] for port in ports]


def test_nothing_of_a_connection_is_left_open_after_its_exchange(listener: socket.socket) -> None:
    exchange = Exchange(5)
    with exchange.running():
        exchange.connect(HOST, port_of(listener), ()).close()
    assert is_shut_down(listener)


def test_what_is_broken_off_is_shut_down(listener: socket.socket) -> None:
    exchange = Exchange(5)
    with exchange.connect(HOST, port_of(listener), ()):
        exchange.break_off()
        assert is_shut_down(listener)
    with pytest.raises(TimeoutError):
        exchange.left()


def test_a_socket_that_is_used_again_is_shut_down_too(pair: Any) -> None:
    ours, theirs = pair
    exchange = Exchange(5)
    exchange.use(ours)
    exchange.break_off()
    assert theirs.recv(1) == b""
    with pytest.raises(TimeoutError):
        exchange.use(ours)


def test_an_address_in_brackets_is_connected_to(listener: socket.socket) -> None:
    # As an address of IPv6 has them, which not every machine has.
    with Exchange(5).connect(f"[{HOST}]", port_of(listener), ()) as connection:
        assert connection.getpeername() == (HOST, port_of(listener))


def test_a_connection_may_take_what_is_left_of_the_time(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = addresses_of(port_of(listener)) * 3
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: found)
    with Exchange(60).connect(HOST, port_of(listener), ()) as connection:
        assert 50 < (connection.gettimeout() or 0) <= 60


@pytest.mark.parametrize("door", [Door.CLOSED, Door.FULL], ids=["refuses", "drops packets"])
def test_the_next_address_is_tried(
    door: Door, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([], door=door) as other:
        found = addresses_of(other.port, port_of(listener))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: found)
        with Exchange(1).connect(HOST, 1, ()) as connection:
            assert connection.getpeername() == (HOST, port_of(listener))


def test_the_last_failure_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([], door=Door.CLOSED) as closed:
        found = addresses_of(closed.port)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: found)
        with pytest.raises(ConnectionRefusedError):
            Exchange(5).connect(HOST, 1, ())


def test_options_of_the_socket_are_set(listener: socket.socket) -> None:
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with Exchange(5).connect(HOST, port_of(listener), [option]) as connection:
        assert connection.getsockopt(*option[:2]) == 1


def hangs(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let the resolver hang until the event that is returned."""
    goes_on = threading.Event()

    def look_up(*arguments: object) -> Any:
        goes_on.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return goes_on


def test_a_request_may_take_what_is_left_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[float | None] = []

    def send(connection: Any, data: bytes) -> None:
        found.append(connection.sock.gettimeout())
        connection.sock.sendall(data)

    with FaultServer([answers()]) as server, requests.Session() as session:
        session.mount("http://", Adapter())
        for _ in range(2):
            with Exchange(5).running():
                session.get(f"http://{HOST}:{server.port}", timeout=60)
            # The next one is on the same connection.
            monkeypatch.setattr(http.client.HTTPConnection, "send", send)
        assert server.connections == 1
    assert found
    assert all(0 < (timeout or 0) <= 5 for timeout in found)


def test_a_resolver_that_hangs_does_not_hold_up_the_exchange(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on = hangs(monkeypatch)
    before = set(threading.enumerate())
    with pytest.raises(TimeoutError):
        Exchange(0.05).connect("acme.test", 443, ())
    # What still waits does not keep the process from ending.
    started = set(threading.enumerate()) - before
    assert started
    assert all(thread.daemon for thread in started)
    goes_on.set()


def test_a_wait_for_the_resolver_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = hangs(monkeypatch)
    exchange = Exchange(60)
    timer = threading.Timer(0.05, exchange.break_off)
    timer.start()
    with pytest.raises(TimeoutError):
        exchange.connect("acme.test", 443, ())
    goes_on.set()
    timer.join()


def test_a_name_that_no_resolver_takes_is_unknown() -> None:
    with pytest.raises(socket.gaierror):
        Exchange(5).connect(f"{'a' * 64}.test", 443, ())


def test_a_connection_that_another_makes(pair: Any) -> None:
    ours, theirs = pair
    exchange = Exchange(60)
    assert ours.gettimeout() is None
    assert exchange.connect_by(lambda: ours) is ours
    assert 50 < (ours.gettimeout() or 0) <= 60
    exchange.break_off()
    assert theirs.recv(1) == b""


def test_a_connection_that_another_cannot_make() -> None:
    def fails() -> socket.socket:
        raise ConnectionRefusedError("theirs")

    with pytest.raises(ConnectionRefusedError, match="theirs"):
        Exchange(5).connect_by(fails)


@pytest.mark.parametrize("is_broken_off", [True, False])
def test_a_read_ends_with_its_exchange(is_broken_off: bool, pair: Any) -> None:
    ours, theirs = pair
    exchange = Exchange(60 if is_broken_off else 0.02)
    exchange.use(ours)
    reader = exchange.read_from(ours, io.BufferedReader(socket.SocketIO(ours, "r")))
    if is_broken_off:
        exchange.break_off()
        assert theirs.recv(1) == b""
    with reader, pytest.raises(TimeoutError):
        reader.read(1)


# How long the lines of a response may be, whatever the version of urllib3 that reads them.

LONGEST = 64 * 1024


@pytest.fixture
def read() -> Iterator[Callable[[bytes], io.BufferedReader]]:
    """Send bytes to a reader, on a socket."""
    with ExitStack() as stack:

        def start(content: bytes) -> io.BufferedReader:
            ours, theirs = map(stack.enter_context, socket.socketpair())

            def send() -> None:
                # A reader that refuses a line leaves the rest.
                with suppress(OSError):
                    theirs.sendall(content)
                    theirs.shutdown(socket.SHUT_WR)

            threading.Thread(target=send, daemon=True).start()
            return Exchange(30).read_from(ours, ours.makefile("rb"))

        yield start


def line(length: int) -> bytes:
    return b"x" * (length - 1) + b"\n"


@pytest.mark.parametrize("size", [None, -1, LONGEST + 2])
def test_a_line_that_the_reader_does_not_limit_is_limited(
    size: int | None, read: Callable[[bytes], io.BufferedReader]
) -> None:
    assert read(line(LONGEST - 1)).readline(size) == line(LONGEST - 1)
    for length in (LONGEST, LONGEST * 2):
        with pytest.raises(http.client.LineTooLong):
            read(line(length)).readline(size)


@pytest.mark.parametrize("size", [0, 10, LONGEST, LONGEST + 1])
def test_a_limit_of_the_reader_s_own_counts(
    size: int, read: Callable[[bytes], io.BufferedReader]
) -> None:
    assert len(read(line(LONGEST * 2)).readline(size)) == size


def test_lines_in_a_row_are_limited(read: Callable[[bytes], io.BufferedReader]) -> None:
    half = line(LONGEST // 2)
    reader = read(half * 17)
    for _ in range(16):
        assert reader.readline() == half
    with pytest.raises(http.client.LineTooLong):
        reader.readline()


def test_what_is_read_otherwise_begins_another_row(
    read: Callable[[bytes], io.BufferedReader],
) -> None:
    half = line(LONGEST // 2)
    reader = read((half * 16 + b"body") * 2)
    for _ in range(2):
        assert [reader.readline() for _ in range(16)] == [half] * 16
        assert reader.read(4) == b"body"


@pytest.mark.parametrize("size", [-1, None, 3, LONGEST + 1])
def test_a_line_is_read(size: int | None, read: Callable[[bytes], io.BufferedReader]) -> None:
    reader = read(b"ab\nc")
    assert reader.readline(size) == b"ab\n"
    assert reader.read() == b"c"
