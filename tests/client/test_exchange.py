"""One exchange: its time, its socket, and what ends it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_datafold.client.exchange import Exchange
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


def is_shut_down(listening: socket.socket) -> bool:
    """Accept a connection, and say whether the other side has ended it."""
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(5)
        return connection.recv(1) == b""


def leads_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    found = [socket.getaddrinfo(HOST, port, 0, socket.SOCK_STREAM)[0] for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: found)


def test_nothing_of_a_connection_is_left_open_after_its_exchange(listener: socket.socket) -> None:
    exchange = Exchange(5)
    with exchange.running():
        exchange.connect(HOST, port_of(listener), ()).close()
    assert is_shut_down(listener)


def test_what_is_broken_off_is_shut_down_and_sends_nothing_more(listener: socket.socket) -> None:
    exchange = Exchange(5)
    with exchange.connect(HOST, port_of(listener), ()) as connection:
        exchange.break_off()
        assert is_shut_down(listener)
        with pytest.raises(TimeoutError):
            exchange.hold(connection)
    with pytest.raises(TimeoutError), exchange.running():
        raise AssertionError("It began.")


def test_a_socket_that_is_used_again_is_shut_down_too() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(5)
        exchange.hold(ours)
        exchange.break_off()
        assert theirs.recv(1) == b""
        with pytest.raises(TimeoutError):
            exchange.hold(ours)


def test_what_has_ended_is_not_broken_off() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(5)
        with exchange.running():
            exchange.hold(ours)
        exchange.break_off()
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"


def test_an_address_in_brackets_is_connected_to(listener: socket.socket) -> None:
    # As an address of IPv6 has them, which not every machine has.
    with Exchange(5).connect(f"[{HOST}]", port_of(listener), ()) as connection:
        assert connection.getpeername() == (HOST, port_of(listener))


def test_a_connection_may_take_what_is_left_of_the_time(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(monkeypatch, *[port_of(listener)] * 3)
    with Exchange(60).connect(HOST, port_of(listener), ()) as connection:
        assert 50 < (connection.gettimeout() or 0) <= 60


@pytest.mark.parametrize("door", [Door.CLOSED, Door.FULL], ids=["refuses", "drops packets"])
def test_the_next_address_is_tried(
    door: Door, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([], door=door) as other:
        leads_to(monkeypatch, other.port, port_of(listener))
        with Exchange(1).connect(HOST, 1, ()) as connection:
            assert connection.getpeername() == (HOST, port_of(listener))


def test_the_last_failure_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([], door=Door.CLOSED) as closed:
        leads_to(monkeypatch, closed.port)
        with pytest.raises(ConnectionRefusedError):
            Exchange(5).connect(HOST, 1, ())


def test_options_of_the_socket_are_set(listener: socket.socket) -> None:
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with Exchange(5).connect(HOST, port_of(listener), [option]) as connection:
        assert connection.getsockopt(*option[:2]) == 1


def test_a_read_ends_when_it_is_broken_off() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(60)
        exchange.hold(ours)
        threading.Timer(0.05, exchange.break_off).start()
        read: Any = ours.recv(1)
        assert read == b""
