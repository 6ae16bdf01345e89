"""One exchange: its time, its socket, and what ends it."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Iterator
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


def port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def accepted(listening: socket.socket) -> socket.socket:
    connection, _ = listening.accept()
    connection.settimeout(5)
    return connection


def test_nothing_of_a_connection_is_left_open_after_its_exchange(listener: socket.socket) -> None:
    exchange = Exchange(5)
    with exchange.running():
        exchange.connect(HOST, port_of(listener), ()).close()
    with accepted(listener) as connection:
        assert connection.recv(1) == b""


def test_what_is_broken_off_is_shut_down(listener: socket.socket) -> None:
    exchange = Exchange(5)
    with exchange.connect(HOST, port_of(listener), ()):
        exchange.break_off()
        with accepted(listener) as connection:
            assert connection.recv(1) == b""
    with pytest.raises(TimeoutError):
        exchange.left()


def test_a_socket_that_is_used_again_is_shut_down_too() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(5)
        exchange.use(ours)
        exchange.break_off()
        theirs.settimeout(5)
        assert theirs.recv(1) == b""
        with pytest.raises(TimeoutError):
            exchange.use(ours)


def test_a_connection_may_take_what_is_left_of_the_time(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = socket.getaddrinfo(HOST, port_of(listener), 0, socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: address * 3)
    with Exchange(60).connect(HOST, port_of(listener), ()) as connection:
        assert 50 < (connection.gettimeout() or 0) <= 60


def test_the_next_address_is_tried_and_the_last_failure_raised(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = socket.getaddrinfo(HOST, port_of(listener), 0, socket.SOCK_STREAM)
    with socket.create_server((HOST, 0)) as closed:
        refused = socket.getaddrinfo(HOST, port_of(closed), 0, socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: refused + taken)
    with Exchange(5).connect(HOST, 1, ()) as connection:
        assert connection.getpeername() == (HOST, port_of(listener))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: refused)
    with pytest.raises(ConnectionRefusedError):
        Exchange(5).connect(HOST, 1, ())


def test_an_address_that_drops_packets_leaves_time_for_the_next(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([], door=Door.FULL) as full:
        dropping, accepting = (
            socket.getaddrinfo(HOST, port, 0, socket.SOCK_STREAM)
            for port in (full.port, port_of(listener))
        )
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: dropping + accepting)
        with Exchange(1).connect(HOST, 1, ()) as connection:
            assert connection.getpeername() == (HOST, port_of(listener))


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


def test_a_connection_that_another_makes_gets_what_is_left() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert ours.gettimeout() is None
        assert Exchange(60).connect_by(lambda: ours) is ours
        assert 50 < (ours.gettimeout() or 0) <= 60


def test_a_connection_that_another_makes_is_shut_down() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(60)
        exchange.connect_by(lambda: ours)
        exchange.break_off()
        theirs.settimeout(5)
        assert theirs.recv(1) == b""


def test_a_connection_that_another_cannot_make() -> None:
    def fails() -> socket.socket:
        raise ConnectionRefusedError("theirs")

    with pytest.raises(ConnectionRefusedError, match="theirs"):
        Exchange(5).connect_by(fails)


def read(sent: bytes, seconds: float = 5) -> Any:
    """Return a reader of what was sent, and its end."""
    ours, theirs = socket.socketpair()
    theirs.sendall(sent)
    theirs.close()
    return Exchange(seconds).read_from(ours, io.BufferedReader(socket.SocketIO(ours, "r")))


@pytest.mark.parametrize("size", [-1, None, 3, 65_537])
def test_a_line_is_read(size: int | None) -> None:
    with read(b"ab\nc") as reader:
        assert reader.readline(size) == b"ab\n"
        assert reader.read() == b"c"


def test_a_read_that_is_broken_off_ends() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(60)
        exchange.use(ours)
        reader = exchange.read_from(ours, io.BufferedReader(socket.SocketIO(ours, "r")))
        exchange.break_off()
        with reader, pytest.raises(TimeoutError):
            reader.read(1)
        theirs.settimeout(5)
        assert theirs.recv(1) == b""


def test_time_that_is_over_ends_a_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = Exchange(0.02).read_from(ours, io.BufferedReader(socket.SocketIO(ours, "r")))
        with reader, pytest.raises(TimeoutError):
            reader.read(1)
