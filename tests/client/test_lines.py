"""How long the lines of a response may be, whatever the version of urllib3 that reads them."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedReader

import pytest

from airflow_provider_datafold.client.deadline import Exchange

LONGEST = 64 * 1024


@pytest.fixture
def read() -> Iterator[Callable[[bytes], BufferedReader]]:
    """Send bytes to a reader, on a socket."""
    open_sockets: list[socket.socket] = []

    def start(content: bytes) -> BufferedReader:
        ours, theirs = socket.socketpair()
        open_sockets.extend((ours, theirs))

        def send() -> None:
            # A reader that refuses a line leaves the rest.
            with suppress(OSError):
                theirs.sendall(content)
                theirs.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        return Exchange(30).read_from(ours, ours.makefile("rb"))

    yield start
    for each in open_sockets:
        each.close()


def line(length: int) -> bytes:
    return b"x" * (length - 1) + b"\n"


@pytest.mark.parametrize("size", [None, -1, LONGEST + 2])
def test_a_line_that_the_reader_does_not_limit_is_limited(
    size: int | None, read: Callable[[bytes], BufferedReader]
) -> None:
    assert read(line(LONGEST - 1)).readline(size) == line(LONGEST - 1)
    for length in (LONGEST, LONGEST * 2):
        with pytest.raises(http.client.LineTooLong):
            read(line(length)).readline(size)


@pytest.mark.parametrize("size", [0, 10, LONGEST, LONGEST + 1])
def test_a_limit_of_the_reader_s_own_counts(
    size: int, read: Callable[[bytes], BufferedReader]
) -> None:
    assert len(read(line(LONGEST * 2)).readline(size)) == size


def test_lines_in_a_row_are_limited(read: Callable[[bytes], BufferedReader]) -> None:
    half = line(LONGEST // 2)
    reader = read(half * 17)
    for _ in range(16):
        assert reader.readline() == half
    with pytest.raises(http.client.LineTooLong):
        reader.readline()


def test_what_is_read_otherwise_begins_another_row(
    read: Callable[[bytes], BufferedReader],
) -> None:
    half = line(LONGEST // 2)
    reader = read((half * 16 + b"body") * 2)
    for _ in range(2):
        assert [reader.readline() for _ in range(16)] == [half] * 16
        assert reader.read(4) == b"body"
