"""A form with a file, sent in a worker and in an event loop."""

from __future__ import annotations

import io
import socket
import threading
from typing import Any

import pytest

from airflow_provider_datafold.api import dbt, operation
from airflow_provider_datafold.api.multipart import Multipart
from airflow_provider_datafold.exceptions import DatafoldTimeoutError
from tests.artifacts import SHA, form
from tests.drivers import Call, both

FACTS = {"commit_sha": SHA, "run_type": "production"}


@both
def test_a_form_with_a_file(call: Call, connections: None, sandbox: Any) -> None:
    from tests.artifacts import archive

    content = archive("manifest.json")
    body = {**FACTS, "run_id": "r7", "artifacts": io.BytesIO(content)}

    assert call(dbt.SUBMIT, body, ci_config_id=4) == {}

    (request,) = sandbox.state.requests
    assert form(request) == {
        "commit_sha": SHA.encode(),
        "run_type": b"production",
        "run_id": b"r7",
        "artifacts": content,
    }


@both
def test_a_form_without_a_file(call: Call, connections: None, sandbox: Any) -> None:
    body = {**FACTS, "branch": "a b&c=d"}
    assert call(dbt.CHECK, body, ci_config_id=4) == {"status": "missing"}
    (request,) = sandbox.state.requests
    assert request.body == f"commit_sha={SHA}&run_type=production&branch=a+b%26c%3Dd".encode()


def test_a_large_file_comes_in_small_blocks() -> None:
    content = b"x" * 1_000_000
    found = Multipart({"a": "b"}, "artifacts", io.BytesIO(content))
    blocks = [*found]
    assert max(map(len, blocks)) <= 64 * 1024
    assert len(found) == sum(map(len, blocks))
    assert b"".join(blocks).count(content) == 1
    # Once more, for another attempt.
    assert [*found] == blocks


@both
def test_a_service_that_does_not_read_ends_the_attempt_when_a_slow_network_would_have_sent_all(
    call: Call, to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 3 << 20
    body = {**FACTS, "run_id": None, "artifacts": io.BytesIO(bytes(size))}

    def read_late() -> None:
        connection, _ = listening.accept()
        with connection:
            # Longer than the timeout of the connection.
            threading.Event().wait(1.5)
            left = size
            while left > 0:
                left -= len(connection.recv(1 << 20))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        to(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=1)
        thread = threading.Thread(target=read_late)
        thread.start()
        assert call(dbt.SUBMIT, body, ci_config_id=4) == {}
        thread.join()
        monkeypatch.setattr(operation, "_SLOWEST", 1 << 40)
        body["artifacts"] = io.BytesIO(bytes(30 << 20))
        with pytest.raises(DatafoldTimeoutError):
            call(dbt.SUBMIT, body, ci_config_id=4)
