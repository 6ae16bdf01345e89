"""One exchange: its time, its socket, and what ends it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

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
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOST, port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_: {HOST: found}[host])


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


def test_what_has_ended_is_not_broken_off() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(5)
        with exchange.running():
            exchange.hold(ours)
        exchange.break_off()
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"


def test_a_connection_has_its_options_and_what_is_left_of_the_time(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(monkeypatch, *[port_of(listener)] * 3)
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with Exchange(60).connect(HOST, 1, [option]) as connection:
        assert 50 < (connection.gettimeout() or 0) <= 60
        assert connection.getsockopt(*option[:2]) == 1


@pytest.mark.parametrize("door", [Door.CLOSED, Door.FULL], ids=["refuses", "drops packets"])
def test_the_next_address_is_tried_and_the_last_failure_is_raised(
    door: Door, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([], door=door) as other:
        leads_to(monkeypatch, other.port, port_of(listener))
        # In brackets, as an address of IPv6 is.
        with Exchange(1).connect(f"[{HOST}]", 1, ()) as connection:
            assert connection.getpeername() == (HOST, port_of(listener))
        leads_to(monkeypatch, other.port)
        failure = ConnectionRefusedError if door is Door.CLOSED else TimeoutError
        with pytest.raises(failure):
            Exchange(1).connect(HOST, 1, ())
