"""Requests and responses over real sockets: what is sent, limits, and errors.

How each fault of a service ends is in dev/faults/table.py.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from typing import Any

import pytest
from airflow import __version__ as airflow_version

from airflow_provider_datafold import __version__
from airflow_provider_datafold.api import bi
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldAuthenticationError,
    DatafoldConnectionError,
    DatafoldPermissionError,
    DatafoldUnreachableError,
)
from dev.faults.behaviours import INTEGRATION, answers, drips, head, is_huge, says
from dev.faults.server import Behaviour, Door
from tests.conftest import API_KEY
from tests.drivers import BODY, CREATE, UPDATE, Call, both, call_async, call_sync, fails, update

MOST = 10 << 20
"""Size of the largest response that is read."""
LONG = {"Content-Length": "50"}


@both
def test_sends_what_it_is_told(call: Call, serve: Any, to: Any) -> None:
    server = serve(answers(), answers())
    to(f"http://127.0.0.1:{server.port}/prefix")
    assert update(call) == call(bi.GET, bi_datasource_id=7) == INTEGRATION
    request, other = server.requests
    assert (request.method, request.target) == ("PUT", "/prefix/api/v1/lineage/bi/hightouch/7/")
    assert json.loads(request.body) == BODY
    headers = request.headers
    assert headers["authorization"] == f"Key {API_KEY}"
    assert headers["accept"] == headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    agent = f"airflow-provider-datafold/{__version__} apache-airflow/{airflow_version}"
    assert headers["user-agent"] == (agent if call is call_sync else "tests")
    assert "content-type" not in other.headers
    assert other.body == b""


@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(MOST)}])
def test_largest_response_is_read(serve: Any, headers: dict[str, str]) -> None:
    serve(says(head(200, headers) + b"{}".rjust(MOST)), extra={"timeout": 60})
    assert update(call_sync) == {}


def test_larger_response_is_not_read(serve: Any) -> None:
    serve(says(head(200) + b"{}".rjust(MOST + 1)), extra={"timeout": 60})
    error = fails(call_sync, DatafoldAnswerError, "larger than 10 MiB and was not read")
    assert error.status_code == 200
    assert "may have been carried out" in str(error)


@both
@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (is_huge(401, {"Content-Length": str(300 << 20)}), DatafoldAuthenticationError),
        (drips(head(401, LONG), b" " * 50), DatafoldAuthenticationError),
        (says(head(403, LONG) + b"{"), DatafoldPermissionError),
    ],
    ids=["huge", "dripping", "broken"],
)
def test_a_refusal_is_a_refusal_whatever_its_body(
    call: Call, serve: Any, act: Behaviour, kind: Any
) -> None:
    serve(act, extra={"timeout": 1})
    fails(call, kind)


@both
def test_host_that_cannot_be_connected_to(call: Call, serve: Any) -> None:
    serve(door=Door.CLOSED)
    fails(call, DatafoldUnreachableError, "could not connect (refused)")
    serve(door=Door.FULL, extra={"timeout": 0.5})
    fails(call, DatafoldUnreachableError, "could not connect (timed out)")


def test_thread_that_cannot_be_started(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("datafold"):
            raise RuntimeError("can't start new thread")
        start(thread)

    server = serve(answers())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        fails(call_async, DatafoldUnreachableError, "no thread could be started")
    assert server.requests == []
    assert update(call_async) == INTEGRATION


def test_exception_that_nobody_foresaw(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ArithmeticError(API_KEY)

    serve(answers())
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    fails(call_sync, DatafoldConnectionError, "an unexpected error (ArithmeticError)")


@both
@pytest.mark.parametrize(
    "kind", [ssl.SSLCertVerificationError, ConnectionRefusedError, DatafoldUnreachableError]
)
def test_error_that_the_caller_is_handling_counts_for_nothing(
    call: Call, kind: type[BaseException], serve: Any
) -> None:
    server = serve(says(), says(), answers(), extra={"max_retries": 1})
    handling = kind("x")
    # A POST that was taken is sent once.
    with pytest.raises(DatafoldConnectionError, match="broke before") as caught:
        call(CREATE, BODY, handling=handling)
    assert type(caught.value) is DatafoldConnectionError
    assert caught.value.__context__ is handling
    assert caught.value.__cause__ is None
    assert len(server.requests) == 1
    assert call(UPDATE, BODY, bi_datasource_id=7, handling=kind("x")) == INTEGRATION
    assert len(server.requests) == 3
