"""Requests and responses over real sockets, in a worker and in an event loop: what is sent, limits,
errors.

The outcome of every fault of a service is in the table of dev/faults.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
import trustme
import urllib3
from airflow import __version__ as airflow_version

from airflow_provider_datafold import __version__
from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.client.sender import announced_size
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldAuthenticationError,
    DatafoldCertificateError,
    DatafoldConnectionError,
    DatafoldError,
    DatafoldPermissionError,
    DatafoldUnreachableError,
)
from dev.faults.behaviours import INTEGRATION, answer, answers, drips, head, is_huge, says
from dev.faults.server import Behaviour, FaultServer, Then
from tests.certificates import tls
from tests.conftest import API_KEY
from tests.drivers import BODY, CREATE, UPDATE, Call, both, call_sync, fails, update
from tests.tunnel import Tunnel

OK = answer(200, b"{}")
MOST = 10 << 20
"""Size of the largest response that is read."""

# Far more than any of these tests takes.
WHOLE = {"timeout": 60}


# Requests.


@both
def test_sends_what_it_is_told(call: Call, serve: Any, to: Any) -> None:
    server = serve(says(OK, Then.KEEP))
    to(f"http://127.0.0.1:{server.port}/prefix")
    assert update(call) == {}
    (request,) = server.requests
    assert (request.method, request.target) == ("PUT", "/prefix/api/v1/lineage/bi/hightouch/7/")
    assert json.loads(request.body) == BODY
    headers = request.headers
    assert headers["authorization"] == f"Key {API_KEY}"
    assert headers["accept"] == headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    agent = f"airflow-provider-datafold/{__version__} apache-airflow/{airflow_version}"
    assert headers["user-agent"] == (agent if call is call_sync else "tests")


@both
@pytest.mark.parametrize(("count", "is_read"), [(99, True), (100, False)])
def test_how_many_header_fields_are_read(
    call: Call, serve: Any, to: Any, count: int, is_read: bool
) -> None:
    # Two more say what the body is.
    fields = {f"X-{number}": "x" for number in range(count - 2)}
    server = serve(answers(200, b"{}", fields))
    to(f"http://127.0.0.1:{server.port}")
    if is_read:
        assert update(call) == {}
    else:
        fails(call, DatafoldConnectionError)


@both
def test_sends_no_body(call: Call, serve: Any) -> None:
    server = serve(answers())
    assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
    assert "content-type" not in server.requests[0].headers
    assert server.requests[0].body == b""


@both
def test_host_with_a_dot_at_its_end(
    call: Call, to: Any, authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tls(authority, "datafold.test")
    with FaultServer([answers()], tls=context) as service, Tunnel(service.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        to("https://datafold.test.", ca_bundle=bundle)
        assert update(call) == INTEGRATION


# Limits.


@both
def test_slow_response_within_the_time(call: Call, serve: Any) -> None:
    serve(says(0.3, OK[:-1], 0.3, OK[-1:]), extra=WHOLE)
    assert update(call) == {}


@both
@pytest.mark.parametrize(
    "act",
    [
        is_huge(200, {"Content-Length": str(300 << 20)}),
        is_huge(200),
        says(head(200, {"Content-Length": str(MOST + 1)}) + b"{}"),
    ],
)
def test_huge_response_is_not_read(call: Call, serve: Any, act: Behaviour) -> None:
    serve(act, extra=WHOLE)
    error = fails(call, DatafoldAnswerError, "larger than 10 MiB and was not read")
    assert error.status_code == 200
    assert "may have been carried out" in str(error)


@both
@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(MOST)}])
def test_largest_response_is_read(call: Call, serve: Any, headers: dict[str, str]) -> None:
    serve(says(head(200, headers) + b"{}".rjust(MOST)), extra=WHOLE)
    assert update(call) == {}
    serve(says(head(200) + b"{}".rjust(MOST + 1)), extra=WHOLE)
    fails(call, DatafoldAnswerError, "larger than 10 MiB")


@both
@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (is_huge(401, {"Content-Length": str(300 << 20)}), DatafoldAuthenticationError),
        (drips(head(401, {"Content-Length": "50"}), b" " * 50), DatafoldAuthenticationError),
        (says(head(403, {"Content-Length": "50"}) + b"{"), DatafoldPermissionError),
    ],
    ids=["huge", "dripping", "broken"],
)
def test_a_refusal_is_a_refusal_whatever_its_body(
    call: Call, serve: Any, act: Behaviour, kind: Any
) -> None:
    serve(act, extra={"timeout": 2})
    fails(call, kind)


# Faults.


# Bodies that the connection ends, without the end of TLS.


@both
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (head(200) + b'{"id": 7}', None),
        (head(200) + b'{"id": 7', DatafoldAnswerError),
        (head(200, {"Content-Length": "9"}) + b'{"id": 7', DatafoldConnectionError),
    ],
    ids=["whole", "cut off", "shorter than announced"],
)
def test_body_that_the_end_of_the_connection_ends(
    content: bytes,
    kind: type[DatafoldError] | None,
    call: Call,
    serve: Any,
    authority: trustme.CA,
    bundle: str,
) -> None:
    serve(says(content), tls=tls(authority), extra={"ca_bundle": bundle})
    if kind is None:
        assert update(call) == {"id": 7}
    else:
        fails(call, kind)


@both
def test_thread_that_cannot_be_started(
    call: Call, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if getattr(thread, "_target", start).__module__.startswith("airflow_provider_datafold."):
            raise RuntimeError("can't start new thread")
        start(thread)

    server = serve(answers())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        fails(call, DatafoldUnreachableError, "no thread could be started")
    assert server.requests == []
    assert update(call) == INTEGRATION


@both
def test_exception_that_nobody_foresaw(
    call: Call, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ArithmeticError(API_KEY)

    serve(answers())
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    fails(call, DatafoldConnectionError, "an unexpected error (ArithmeticError)")


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({}, 0.0),
        ({"Content-Length": "12"}, 12.0),
        ({"Content-Length": "9" * 400}, float("inf")),
        ({"Content-Length": "-1"}, 0.0),
        ({"Content-Length": ""}, 0.0),
    ],
)
def test_the_size_that_a_response_announces(headers: dict[str, str], size: float) -> None:
    assert announced_size(Response(200, headers, b"")) == size


# Whatever error the caller is handling, a request gets the one of its own failure.


def proxy_error() -> Exception:
    cause = OSError("Tunnel connection failed: 407 Proxy Authentication Required")
    return requests.exceptions.ProxyError(urllib3.exceptions.ProxyError("x", cause))


def nested() -> Exception:
    """An error that the caller met while it handled another one."""
    error = ValueError("x")
    error.__context__ = ssl.SSLCertVerificationError("x")
    error.__cause__ = ConnectionRefusedError("x")
    return error


ERRORS: dict[str, Callable[[], BaseException]] = {
    "tls": lambda: ssl.SSLError("x"),
    "certificate": lambda: ssl.SSLCertVerificationError("x"),
    "refused": lambda: ConnectionRefusedError("x"),
    "name": lambda: socket.gaierror(socket.EAI_NONAME, "x"),
    "urllib3 name": lambda: urllib3.exceptions.NameResolutionError("x", None, socket.gaierror()),  # type: ignore[arg-type]
    "urllib3 connect": lambda: urllib3.exceptions.ConnectTimeoutError(None, "x"),
    "urllib3 new connection": lambda: urllib3.exceptions.NewConnectionError(None, "x"),  # type: ignore[arg-type]
    "requests proxy": proxy_error,
    "ours": lambda: DatafoldUnreachableError("x"),
    "ours final": lambda: DatafoldCertificateError("x", status_code=503),
    "nested": nested,
    "stopped": KeyboardInterrupt,
}


@both
@pytest.mark.parametrize("make_error", ERRORS.values(), ids=ERRORS)
def test_error_that_the_caller_is_handling_counts_for_nothing(
    call: Call, make_error: Callable[[], BaseException], serve: Any
) -> None:
    server = serve(says(), says(), answers(), extra={"max_retries": 1})
    handling = make_error()
    # A POST that was taken is sent once.
    with pytest.raises(DatafoldConnectionError, match="broke before") as caught:
        call(CREATE, BODY, handling=handling)
    assert type(caught.value) is DatafoldConnectionError
    assert caught.value.__context__ is handling
    assert caught.value.__cause__ is None
    assert len(server.requests) == 1
    assert call(UPDATE, BODY, bi_datasource_id=7, handling=make_error()) == INTEGRATION
    assert len(server.requests) == 3
