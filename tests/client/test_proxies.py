"""Proxies: what they see, and the errors if they fail, in a worker and in an event loop."""

from __future__ import annotations

import json
import logging
import socket
import time
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
    DatafoldError,
    DatafoldServerError,
    DatafoldTimeoutError,
    DatafoldUnreachableError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import FOR_EVER, INTEGRATION, answer, answers, says
from dev.faults.server import Behaviour, Door, FaultServer, Then
from tests import drivers
from tests.certificates import tls
from tests.conftest import API_KEY
from tests.drivers import Call, both, update
from tests.tunnel import Tunnel

HOST = "datafold.test"
PATH = "/api/v1/lineage/bi/hightouch/7/"
USER = "someone"
PASSWORD = "planted-proxy-password-3a8b"
REFUSES = "the proxy refuses the connection"
UNUSABLE = "the proxy cannot be used"
UNREACHABLE = "could not connect through the proxy"


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set variables of the environment."""

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.fixture(autouse=True)
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were looked up: each is an address of this machine."""
    resolve = socket.getaddrinfo
    names: list[str] = []

    def look_up(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(host, str):
            # As Python does before a lookup, but not with bytes.
            host = host.encode("idna")
        name = host.decode()
        if name != "127.0.0.1":
            names.append(name)
        return resolve("127.0.0.1", port, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


@pytest.fixture
def run() -> Iterator[Callable[[Any], Any]]:
    """Start a service or a proxy, and end it after the test."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def proxy(run: Any, environ: Any) -> Callable[..., Any]:
    """Start a proxy, and set it in the environment, with the user if it is to have one.

    It is a service that behaves like this, or a :class:`Tunnel` to the service at a port.
    """

    def start(
        what: Behaviour | int,
        scheme: str = "http",
        variable: str = "HTTPS_PROXY",
        login: tuple[str, str] | None = (USER, PASSWORD),
        **more: Any,
    ) -> Any:
        found = run(Tunnel(what, **more) if isinstance(what, int) else FaultServer([what], **more))
        user = "" if login is None else f"{':'.join(login)}@"
        environ(**{variable: f"{scheme}://{user}127.0.0.1:{found.port}"})
        return found

    return start


@pytest.fixture
def secure(
    run: Any, to: Any, authority: trustme.CA, bundle: str
) -> Callable[[list[Behaviour]], FaultServer]:
    """Start a service of HOST that speaks TLS, and set the connection to it."""
    to(ca_bundle=bundle)
    return lambda behaviours: run(FaultServer(behaviours, tls=tls(authority, HOST)))


@pytest.fixture
def secured(secure: Any) -> FaultServer:
    """A service of HOST that speaks TLS, and the connection to it."""
    service: FaultServer = secure([answers()])
    return service


@pytest.fixture
def tunnel(proxy: Any, authority: trustme.CA) -> Callable[[str, int], Tunnel]:
    """Start a proxy that really connects to a service, and set it in the environment."""
    return lambda scheme, port: proxy(
        port, scheme, login=None, tls=tls(authority) if scheme == "https" else None
    )


def fails(call: Call, kind: type[DatafoldError], said: str) -> str:
    """Make an update that must fail, and check that its error contains no secret."""
    found = str(drivers.fails(call, kind, said))
    assert PASSWORD not in found
    return found


# What the proxy sees.


@both
def test_host_of_no_proxy_is_connected_to(
    call: Call, to: Any, environ: Any, run: Any, proxy: Any, looked_up: list[str]
) -> None:
    service, other = run(FaultServer([answers()])), proxy(answers(502), variable="HTTP_PROXY")
    environ(NO_PROXY=f"a.test,.{HOST}")
    to(f"http://{HOST}:{service.port}")
    assert update(call) == INTEGRATION
    assert (len(service.requests), other.connections) == (1, 0)
    assert looked_up == [HOST]


@both
def test_this_machine_is_always_connected_to(call: Call, serve: Any, proxy: Any) -> None:
    serve(answers())
    other = proxy(answers(502), variable="HTTP_PROXY")
    assert update(call) == INTEGRATION
    assert other.connections == 0


@both
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_plain_request_goes_to_the_proxy(
    scheme: str,
    variable: str,
    call: Call,
    to: Any,
    proxy: Any,
    authority: trustme.CA,
    bundle: str,
    looked_up: list[str],
) -> None:
    context = tls(authority) if scheme == "https" else None
    found = proxy(answers(), scheme, variable, tls=context)
    to(f"http://{HOST}", ca_bundle=bundle)
    assert update(call) == INTEGRATION
    (request,) = found.requests
    assert request.target == f"http://{HOST}{PATH}"
    assert request.headers["authorization"] == f"Key {API_KEY}"
    assert request.headers["proxy-authorization"].startswith("Basic ")
    # The proxy does that.
    assert looked_up == []


@both
@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_tls_goes_through_a_tunnel(
    scheme: str, call: Call, secured: FaultServer, tunnel: Any, looked_up: list[str]
) -> None:
    found = tunnel(scheme, secured.port)
    for _ in range(2):
        assert update(call) == INTEGRATION
    assert found.asked == [(HOST, 443)] * 2
    assert secured.requests[0].headers["authorization"] == f"Key {API_KEY}"
    assert looked_up == []


@both
def test_plain_request_goes_through_socks(
    call: Call, to: Any, proxy: Any, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service = run(FaultServer([answers()]))
    found = proxy(service.port, "socks5h", "HTTP_PROXY", login=None)
    to(f"http://{HOST}:8080")
    assert update(call) == INTEGRATION
    assert found.asked == [(HOST, 8080)]
    assert service.requests[0].target == PATH
    libraries = ("requests", "urllib3")
    assert not [record for record in caplog.records if record.name.startswith(libraries)]


@both
@pytest.mark.parametrize("address", [b"\1" + bytes(4), b"\3\3abc", b"\4" + bytes(16)])
def test_socks_replies_in_pieces(address: bytes, call: Call, secure: Any, proxy: Any) -> None:
    replies = [b"\5\2", b"\1\0", b"\5\0\0" + address + bytes(2)]
    steps = [step for byte in b"".join(replies) for step in (bytes([byte]), 0.01)]
    proxy(says(*steps), "socks5h", reads=False)
    # All was read, and the TLS handshake began.
    fails(call, DatafoldConnectionError, "the connection broke")


@both
def test_length_of_a_login_for_socks(call: Call, secured: FaultServer, proxy: Any) -> None:
    # PySocks sends no more.
    login = ("u" * 127, "p" * 127)
    found = proxy(secured.port, "socks5h", login=login, user=login)
    assert update(call) == INTEGRATION
    assert found.asked == [(HOST, 443)]


@both
def test_socks_needs_a_library(
    call: Call, secured: FaultServer, tunnel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "SOCKSProxyManager", missing)
    found = tunnel("socks5h", secured.port)
    fails(call, DatafoldConfigurationError, "install requests[socks]")
    assert found.asked == []


def missing(*_: Any, **__: Any) -> None:
    # As requests does where PySocks is not installed.
    raise InvalidSchema("Missing dependencies for SOCKS support.")


def test_session_goes_through_socks_for_others(to: Any, proxy: Any, run: Any) -> None:
    service = run(FaultServer([answers()]))
    found = proxy(service.port, "socks5h", "HTTP_PROXY", login=None)
    to(f"http://{HOST}")
    with DatafoldHook() as hook:
        # Before and after a call of ours on the same session.
        for _ in range(2):
            assert hook.get_conn().get(f"http://{HOST}/mine").json() == INTEGRATION
            assert hook.get_integration(7) == INTEGRATION
    assert set(found.asked) == {(HOST, 80)}
    targets = [request.target for request in service.requests]
    assert targets == ["/mine", "/api/v1/lineage/bi/7/"] * 2


# The errors if it fails.


@both
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
@pytest.mark.parametrize("door", [Door.CLOSED, Door.FULL], ids=["not there", "takes nothing"])
def test_proxy_that_cannot_be_connected_to(
    door: Door, scheme: str, call: Call, to: Any, proxy: Any
) -> None:
    proxy(says(), scheme, door=door)
    to(timeout=0.5 if door is Door.FULL else 30)
    fails(call, DatafoldUnreachableError, UNREACHABLE)


@both
def test_proxy_with_a_name_that_nobody_knows(
    call: Call, to: Any, environ: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    environ(HTTPS_PROXY="http://unknown.test:3128")
    to()
    fails(call, DatafoldUnreachableError, UNREACHABLE)


def unknown(*_: Any, **__: Any) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@both
@pytest.mark.parametrize(
    ("step", "kind", "said"),
    [
        (answer(401, b""), DatafoldConfigurationError, REFUSES),
        (answer(403, b""), DatafoldConfigurationError, REFUSES),
        (answer(407, b""), DatafoldConfigurationError, REFUSES),
        (answer(404, b""), DatafoldUnreachableError, UNREACHABLE),
        (answer(502, b""), DatafoldUnreachableError, UNREACHABLE),
        (b"", DatafoldConnectionError, "the connection broke"),
        (FOR_EVER, DatafoldTimeoutError, "within 0.5 s"),
    ],
    ids=["401", "403", "407", "404", "502", "closes", "silent"],
)
def test_proxy_that_makes_no_tunnel(
    step: bytes | float, kind: type[DatafoldError], said: str, call: Call, to: Any, proxy: Any
) -> None:
    found = proxy(says(step))
    to(timeout=0.5 if isinstance(step, float) else 30)
    fails(call, kind, said)
    (request,) = found.requests
    assert (request.method, request.target) == ("CONNECT", f"{HOST}:443")
    assert API_KEY not in request.text


@both
def test_socks_proxy_that_does_not_know_the_user(
    call: Call, secured: FaultServer, proxy: Any
) -> None:
    found = proxy(secured.port, "socks5h", user=(USER, "another"))
    fails(call, DatafoldUnreachableError, UNREACHABLE)
    assert (found.asked, secured.connections) == ([], 0)


@both
def test_service_behind_a_socks_proxy_that_is_silent(
    call: Call, to: Any, proxy: Any, run: Any
) -> None:
    service = run(FaultServer([says(FOR_EVER)]))
    proxy(service.port, "socks5h", "HTTP_PROXY", login=None)
    to(f"http://{HOST}", timeout=1)
    # The request may have been carried out, so the proxy is not blamed.
    fails(call, DatafoldTimeoutError, "no complete response within 1 s")
    assert len(service.requests) == 1


@both
def test_handshake_that_drips_through_a_proxy_with_tls(
    call: Call, secured: FaultServer, tunnel: Any, to: Any, bundle: str
) -> None:
    to(ca_bundle=bundle, timeout=1)
    tunnel("https", secured.port).pace = 0.2
    fails(call, DatafoldTimeoutError, "within 1 s")
    assert secured.requests == []


def test_record_that_drips_through_a_proxy_with_tls(
    secured: FaultServer, tunnel: Any, to: Any, bundle: str
) -> None:
    to(ca_bundle=bundle, timeout=2)
    proxy = tunnel("https", secured.port)
    with DatafoldHook() as hook:
        # By itself the session has no deadline.
        assert hook.get_conn().get(f"https://{HOST}/mine").json() == INTEGRATION
        assert hook.get_integration(7) == INTEGRATION
        proxy.pace = 0.2
        with pytest.raises(DatafoldTimeoutError, match="within 2 s"):
            hook.get_integration(8)
    assert (len(secured.requests), secured.connections) == (3, 1)


@both
def test_proxy_with_tls_that_closes_the_tunnel(
    call: Call, to: Any, proxy: Any, authority: trustme.CA
) -> None:
    proxy(says(answer(200, b"")), "https", tls=tls(authority))
    to(verify_ssl=False)
    for _ in range(5):
        fails(call, DatafoldConnectionError, "the connection broke")


@both
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_certificate_of_a_proxy_with_tls_is_checked(
    scheme: str, call: Call, to: Any, proxy: Any, authority: trustme.CA
) -> None:
    found = proxy(answers(), "https", f"{scheme.upper()}_PROXY", tls=tls(authority))
    to(f"{scheme}://{HOST}")
    fails(call, DatafoldCertificateError, "the TLS certificate was refused")
    assert found.requests == []


@both
def test_time_for_the_handshake_is_what_the_proxy_leaves(call: Call, to: Any, proxy: Any) -> None:
    # It closes the connection when the time has been over for a while.
    proxy(says(1.0, answer(200, b""), 1.5))
    to(timeout=1.5)
    fails(call, DatafoldTimeoutError, "within 1.5 s")


@pytest.mark.parametrize("records", [1, 2])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_bytes_after_a_response_are_not_the_next_one(
    scheme: str, records: int, secure: Any, tunnel: Any
) -> None:
    def response(number: int) -> bytes:
        return answer(200, json.dumps({"id": number}).encode())

    # More than a reader takes at once, and less than a record holds.
    more = response(666) * 150
    steps = [[response(n) + more] if records == 1 else [response(n), more] for n in (1, 2, 3)]
    service = secure([says(*each, Then.KEEP) for each in steps])
    tunnel(scheme, service.port)
    with DatafoldHook() as hook:
        for number in (1, 2, 3):
            assert hook.get_integration(7) == {"id": number}
            time.sleep(0.2)
    assert service.connections == 3


@both
def test_password_of_the_proxy_is_not_shown(
    call: Call, to: Any, proxy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    found = proxy(answers(500, json.dumps({"detail": "x"}).encode()), variable="HTTP_PROXY")
    to(f"http://{HOST}")
    fails(call, DatafoldServerError, "500, ")
    (request,) = found.requests
    assert PASSWORD not in caplog.text
    assert request.headers["proxy-authorization"].split()[1] not in caplog.text


@both
def test_plain_proxy_that_breaks_off_may_have_passed_it_on(call: Call, to: Any, proxy: Any) -> None:
    found = proxy(says(), variable="HTTP_PROXY")
    to(f"http://{HOST}")
    fails(call, DatafoldConnectionError, "connection broke")
    assert len(found.requests) == 1
