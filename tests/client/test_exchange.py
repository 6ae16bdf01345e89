"""One exchange: its time, its connection, and what ends it."""

from __future__ import annotations

import socket

import pytest

from airflow_provider_datafold.client.exchange import Exchange


def test_what_is_broken_off_is_shut_down_and_sends_nothing_more() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(5)
        exchange.send_over(ours)
        exchange.break_off()
        assert theirs.recv(1) == b""
        with pytest.raises(TimeoutError):
            exchange.send_over(ours)
    with pytest.raises(TimeoutError), exchange.running():
        raise AssertionError("It began.")


def test_what_has_ended_is_not_broken_off() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(5)
        with exchange.running():
            exchange.send_over(ours)
        exchange.break_off()
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
