"""A request gets the error of its own failure, whatever error its caller is handling."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import h11
import pytest
import requests
import urllib3

from airflow_provider_datafold.exceptions import (
    DatafoldCertificateError,
    DatafoldConnectionError,
    DatafoldUnreachableError,
)
from dev.faults.behaviours import INTEGRATION, answers, says
from dev.faults.server import FaultServer
from tests.conftest import API_KEY, TOKEN
from tests.drivers import CREATE, UPDATE, Call, both

CONFIG: dict[str, Any] = {"token": TOKEN, "bindings": [], "indexing_cron": None}


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
    "h11": lambda: h11.RemoteProtocolError("x"),
    "ours": lambda: DatafoldUnreachableError("x"),
    "ours final": lambda: DatafoldCertificateError("x", status_code=503),
    "nested": nested,
    "stopped": KeyboardInterrupt,
}
each_error = pytest.mark.parametrize("make_error", ERRORS.values(), ids=ERRORS)


@pytest.fixture
def connect_to(connect: Callable[..., None]) -> Callable[[FaultServer], None]:
    def connect_to(server: FaultServer) -> None:
        host = f"http://127.0.0.1:{server.port}"
        connect("datafold_default", host=host, password=API_KEY, extra={"max_retries": 1})

    return connect_to


@both
@each_error
def test_post_that_was_taken_is_sent_once(
    call: Call, make_error: Callable[[], BaseException], connect_to: Any
) -> None:
    with FaultServer([says()]) as server:
        connect_to(server)
        with pytest.raises(DatafoldConnectionError, match="broke before") as caught:
            call(CREATE, CONFIG, handling=make_error())
        assert type(caught.value) is DatafoldConnectionError
        assert len(server.requests) == 1


@both
@each_error
def test_put_is_tried_again(
    call: Call, make_error: Callable[[], BaseException], connect_to: Any
) -> None:
    with FaultServer([says(), answers()]) as server:
        connect_to(server)
        handling = make_error()
        assert call(UPDATE, CONFIG, bi_datasource_id=7, handling=handling) == INTEGRATION
        assert len(server.requests) == 2


@both
def test_error_keeps_the_callers_as_its_context(call: Call, connect_to: Any) -> None:
    with FaultServer([says()]) as server:
        connect_to(server)
        handling = ssl.SSLError("x")
        with pytest.raises(DatafoldConnectionError) as caught:
            call(CREATE, CONFIG, handling=handling)
        assert caught.value.__context__ is handling
        assert caught.value.__cause__ is None
