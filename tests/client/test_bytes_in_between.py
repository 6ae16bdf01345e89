"""Bytes that a service sends unasked are not taken for the response to the next request."""

from __future__ import annotations

from typing import Any

import pytest
import trustme

from airflow_provider_datafold.exceptions import DatafoldConnectionError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import answer, answers, head, says
from dev.faults.server import FaultServer, Then
from tests.certificates import tls
from tests.conftest import API_KEY

BUSY = answer(503, b"{}")
STALE = answer(200, b'{"id": 2, "seen": "stale"}')
TRIGGER = {"pr_sha": "a", "base_sha": "b", "pr_branch": "c", "base_branch": "d"}


def padded(extra: bytes) -> bytes:
    """Respond so that the reader's buffer ends with the response, and TLS holds the rest."""
    size = 8192
    start = head(200, {"Content-Length": "0000"})
    body = b'{"id": 1, "seen": "first"}'.ljust(size - len(start))
    first = head(200, {"Content-Length": f"{len(body):04d}"}) + body
    assert len(first) == size
    return first + extra


def test_a_read_does_not_take_what_tls_holds(
    connect: Any, authority: trustme.CA, bundle: str
) -> None:
    behaviours = [says(padded(STALE), Then.KEEP), answers(200, b'{"id": 2, "seen": "second"}')]
    with FaultServer(behaviours, tls=tls(authority)) as server:
        connect(
            "datafold_default",
            host=f"https://127.0.0.1:{server.port}",
            password=API_KEY,
            extra={"ca_bundle": bundle, "max_retries": 1},
        )
        with DatafoldHook() as hook:
            found = [hook.get_data_diff(number)["seen"] for number in (1, 2)]
    assert found == ["first", "second"]


def test_what_starts_something_has_a_connection_of_its_own(connect: Any) -> None:
    # The second response is in transit when the request is sent: no client can see it earlier.
    behaviours = [
        says(answer(200, b'{"id": 1}'), 0.2, BUSY, Then.KEEP),
        answers(200, b'{"ci_run_id": 5}'),
    ]
    with FaultServer(behaviours) as server:
        connect(
            "datafold_default",
            host=f"http://127.0.0.1:{server.port}",
            password=API_KEY,
            extra={"max_retries": 1},
        )
        with DatafoldHook() as hook:
            hook.get_data_diff(1)
            run = hook.trigger_ci(1, pr_number=1, **TRIGGER)
        assert [request.method for request in server.requests] == ["GET", "POST"]
    assert run == {"ci_run_id": 5}


def test_a_chunk_of_less_than_nothing_is_a_broken_connection(connect: Any) -> None:
    chunked = head(200, {"Transfer-Encoding": "chunked"}) + b"-8\r\n{}\r\n"
    with FaultServer([says(chunked)]) as server:
        connect(
            "datafold_default",
            host=f"http://127.0.0.1:{server.port}",
            password=API_KEY,
            extra={"max_retries": 0},
        )
        with DatafoldHook() as hook, pytest.raises(DatafoldConnectionError, match="broke"):
            hook.get_data_diff(1)
