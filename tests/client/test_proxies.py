"""Proxies: what they see, and the errors if they fail. More of these are in dev/faults/table.py."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import trustme
from requests import adapters
from requests.exceptions import InvalidSchema

from airflow_provider_datafold.exceptions import (
    DatafoldCertificateError,
    DatafoldConfigurationError,
    DatafoldConnectionError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import INTEGRATION, answer, answers, says
from dev.faults.server import Behaviour, FaultServer
from tests.certificates import tls
from tests.conftest import API_KEY
from tests.drivers import Call, both, call_sync, fails, update
from tests.tunnel import Tunnel

HOST = "datafold.test"
PATH = "/api/v1/lineage/bi/hightouch/7/"
PASSWORD = "planted-proxy-password-3a8b"


@pytest.fixture(autouse=True)
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were looked up: each is an address of this machine."""
    resolve = socket.getaddrinfo
    names: list[str] = []

    def look_up(host: Any, *arguments: Any, **named: Any) -> Any:
        names.append(host if isinstance(host, str) else host.decode())
        return resolve("127.0.0.1", *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


@pytest.fixture
def run() -> Iterator[Callable[[Any], Any]]:
    """Start a service or a proxy, and end it after the test."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def proxy(run: Any, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Start a proxy, and set it in the environment, with a password if it does not check that.

    It is a service that behaves like this, or a :class:`Tunnel` to the service at a port.
    """

    def start(
        what: Behaviour | int, scheme: str = "http", variable: str = "HTTPS_PROXY", **more: Any
    ) -> Any:
        more["tls"] = tls(authority) if scheme == "https" else None
        is_tunnel = isinstance(what, int)
        found = run(Tunnel(what, **more) if is_tunnel else FaultServer([what], **more))
        user = "" if is_tunnel else f"someone:{PASSWORD}@"
        monkeypatch.setenv(variable, f"{scheme}://{user}127.0.0.1:{found.port}")
        return found

    return start


@pytest.fixture
def secure(run: Any, to: Any, authority: trustme.CA, bundle: str) -> Callable[..., FaultServer]:
    """Start a service of HOST that speaks TLS, and set the connection to it."""
    to(ca_bundle=bundle)
    return lambda *behaviours: run(FaultServer(behaviours, tls=tls(authority, HOST)))


# What the proxy sees.


@pytest.mark.parametrize("host", ["127.0.0.1", HOST])
def test_this_machine_and_hosts_of_no_proxy_are_connected_to(
    host: str, to: Any, run: Any, proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, other = run(FaultServer([answers()])), proxy(answers(502), variable="HTTP_PROXY")
    monkeypatch.setenv("NO_PROXY", f"a.test,.{HOST}")
    to(f"http://{host}:{service.port}")
    assert update(call_sync) == INTEGRATION
    assert (len(service.requests), other.connections) == (1, 0)


@both
@pytest.mark.parametrize(
    ("scheme", "variable"), [("http", "HTTP_PROXY"), ("http", "ALL_PROXY"), ("https", "HTTP_PROXY")]
)
def test_plain_request_goes_to_the_proxy(
    scheme: str,
    variable: str,
    call: Call,
    to: Any,
    proxy: Any,
    bundle: str,
    looked_up: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    found = proxy(answers(), scheme, variable)
    to(f"http://{HOST}", ca_bundle=bundle)
    assert update(call) == INTEGRATION
    (request,) = found.requests
    assert request.target == f"http://{HOST}{PATH}"
    assert request.headers["authorization"] == f"Key {API_KEY}"
    basic, login = request.headers["proxy-authorization"].split()
    assert basic == "Basic"
    assert [shown for shown in (login, PASSWORD) if shown in caplog.text] == []
    # The proxy does that.
    assert HOST not in looked_up


@both
@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_tls_goes_through_a_tunnel(
    scheme: str, call: Call, secure: Any, proxy: Any, looked_up: list[str]
) -> None:
    service = secure(answers())
    found = proxy(service.port, scheme)
    assert update(call) == INTEGRATION
    assert found.asked == [(HOST, 443)]
    assert service.requests[0].headers["authorization"] == f"Key {API_KEY}"
    assert HOST not in looked_up


def test_session_goes_through_socks_for_others(to: Any, proxy: Any, run: Any) -> None:
    service = run(FaultServer([answers()]))
    found = proxy(service.port, "socks5h", "HTTP_PROXY")
    to(f"http://{HOST}:8080")
    with DatafoldHook() as hook:
        # Before and after a call of ours on the same session.
        for _ in range(2):
            assert hook.get_conn().get(f"http://{HOST}:8080/mine").json() == INTEGRATION
            assert hook.get_integration(7) == INTEGRATION
    assert set(found.asked) == {(HOST, 8080)}
    targets = [request.target for request in service.requests]
    assert targets == ["/mine", "/api/v1/lineage/bi/7/"] * 2


# The errors if it fails.


def test_socks_needs_a_library(secure: Any, proxy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        # As requests does where PySocks is not installed.
        raise InvalidSchema("Missing dependencies for SOCKS support.")

    monkeypatch.setattr(adapters, "SOCKSProxyManager", missing)
    found = proxy(secure(answers()).port, "socks5h")
    fails(call_sync, DatafoldConfigurationError, "install requests[socks]")
    assert found.asked == []


def test_a_proxy_that_makes_no_tunnel_sees_no_key_and_no_error_shows_its_password(
    to: Any, proxy: Any
) -> None:
    found = proxy(says(answer(407, b"")))
    to()
    error = fails(call_sync, DatafoldConfigurationError, "the proxy refuses the connection")
    assert PASSWORD not in str(error)
    (request,) = found.requests
    assert (request.method, request.target) == ("CONNECT", f"{HOST}:443")
    assert API_KEY not in request.text


@both
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_certificate_of_a_proxy_with_tls_is_checked(
    scheme: str, call: Call, to: Any, proxy: Any
) -> None:
    found = proxy(answers(), "https", f"{scheme.upper()}_PROXY")
    to(f"{scheme}://{HOST}")
    fails(call, DatafoldCertificateError, "the TLS certificate was refused")
    assert found.requests == []


def test_plain_proxy_that_breaks_off_may_have_passed_it_on(to: Any, proxy: Any) -> None:
    proxy(says(), variable="HTTP_PROXY")
    to(f"http://{HOST}")
    fails(call_sync, DatafoldConnectionError, "connection broke")
