"""Proxies: which connections use one, what it sees, and the errors if it fails."""

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

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.connection import environment
from airflow_provider_datafold.exceptions import (
    DatafoldCertificateError,
    DatafoldConfigurationError,
    DatafoldConnectionError,
    DatafoldError,
    DatafoldTimeoutError,
    DatafoldUnreachableError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import FOR_EVER, INTEGRATION, answer, answers, says
from dev.faults.server import Behaviour, Door, FaultServer, Then
from tests.certificates import tls
from tests.conftest import API_KEY
from tests.drivers import Call, both, call_async, call_sync
from tests.tunnel import Tunnel

HOST = "datafold.test"
USER = "someone"
PASSWORD = "planted-proxy-password-3a8b"
REFUSES = "the proxy refuses the connection"
UNUSABLE = "the proxy cannot be used"
UNREACHABLE = "could not connect through the proxy"
PATIENCE = 30
"""Seconds that a call may take which is not to wait in vain: a busy machine takes long."""


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set variables of the environment, which at first names no proxy and no CA."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

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
def to(connect: Any) -> Callable[..., None]:
    """Set the default connection to a host that is not this machine, for a single try."""

    def set_connection(host: str = f"https://{HOST}", **extra: Any) -> None:
        extra = {"max_retries": 0, "timeout": PATIENCE, "allow_http": True, **extra}
        connect("datafold_default", host=host, password=API_KEY, extra=extra)

    return set_connection


@pytest.fixture
def run() -> Iterator[Callable[[Any], Any]]:
    """Start a service or a proxy, and end it after the test."""
    with ExitStack() as stack:
        yield stack.enter_context


# Which connections use a proxy.


def proxy_for(url: str, **environ: str) -> str | None:
    return environment.proxy(url, environ)


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        (f"https://{HOST}", {}, None),
        (f"https://{HOST}", {"HTTPS_PROXY": ""}, None),
        (f"https://{HOST}", {"HTTPS_PROXY": "http://a"}, "http://a"),
        (f"https://{HOST}", {"HTTPS_PROXY": " http://a "}, "http://a"),
        (f"https://{HOST}", {"HTTPS_PROXY": "http://a", "https_proxy": "http://b"}, "http://b"),
        (f"https://{HOST}", {"HTTP_PROXY": "http://a"}, None),
        (f"http://{HOST}", {"HTTP_PROXY": "http://a", "HTTPS_PROXY": "http://b"}, "http://a"),
        (f"http://{HOST}", {"ALL_PROXY": "socks5h://a"}, "socks5h://a"),
        (f"https://{HOST}", {"ALL_PROXY": "http://a", "HTTPS_PROXY": "http://b"}, "http://b"),
        (f"https://{HOST}", {"HTTPS_PROXY": "a:3128"}, "http://a:3128"),
    ],
)
def test_proxy_that_is_chosen(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, **environ) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("*", f"https://{HOST}", True),
        ("a.test, *", f"https://{HOST}", True),
        ("*.test", f"https://{HOST}", False),
        # Hosts.
        (HOST, f"https://{HOST}", True),
        (HOST.upper(), f"https://{HOST}", True),
        (f"a.test , {HOST} ", f"https://{HOST}", True),
        ("a.test", f"https://{HOST}", False),
        (",,", f"https://{HOST}", False),
        # Suffixes, of whole labels only.
        ("test", f"https://{HOST}", True),
        (".test", f"https://{HOST}", True),
        (HOST, f"https://eu.{HOST}", True),
        (f".{HOST}", f"https://{HOST}", True),
        ("fold.test", f"https://{HOST}", False),
        (f"eu.{HOST}", f"https://{HOST}", False),
        # Ports.
        (f"{HOST}:8443", f"https://{HOST}:8443", True),
        (f".{HOST}:8443", f"https://eu.{HOST}:8443", True),
        (f"{HOST}:8443", f"https://{HOST}:8444", False),
        (f"{HOST}:8443", f"https://{HOST}", False),
        (HOST, f"https://{HOST}:8443", True),
        (f"{HOST}:443", f"https://{HOST}", True),
        (f"{HOST}:443", f"https://{HOST}:443", True),
        (f"{HOST}:80", f"https://{HOST}", False),
        # Dots at the end.
        (f"{HOST}.", f"https://{HOST}", True),
        (HOST, f"https://{HOST}.", True),
        (f"{HOST}.:443", f"https://{HOST}.", True),
        # Networks and addresses.
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://10.1.2.3:8443", True),
        ("10.9.9.9/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("10.1.2.3", "https://10.1.2.30", False),
        ("10.1.2.3:8443", "https://10.1.2.3:8443", True),
        ("10.1.2.3:8443", "https://10.1.2.3:8444", False),
        ("fd00::/8", "https://[fd12::1]", True),
        ("[fd12::1]", "https://[fd12::1]", True),
        ("[fd12::1]:443", "https://[fd12::1]", True),
        ("[fd12::1]:8443", "https://[fd12::1]", False),
        ("fd00::/8", "https://[fe80::1]", False),
        ("fd00::/8", "https://10.1.2.3", False),
        ("10.0.0.0/8", f"https://{HOST}", False),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_hosts_without_a_proxy(name: str, no_proxy: str, url: str, is_direct: bool) -> None:
    found = proxy_for(url, HTTPS_PROXY="http://a", **{name: no_proxy})
    assert found == (None if is_direct else "http://a")


@both
def test_host_of_no_proxy_is_connected_to(
    call: Call, to: Any, environ: Any, run: Any, looked_up: list[str]
) -> None:
    service, proxy = run(FaultServer([answers()])), run(FaultServer([answers(502)]))
    environ(HTTP_PROXY=f"http://127.0.0.1:{proxy.port}", NO_PROXY=f"a.test,.{HOST}")
    to(f"http://{HOST}:{service.port}")
    assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
    assert (len(service.requests), proxy.connections) == (1, 0)
    assert looked_up == [HOST]


# What the proxy sees.


@both
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_plain_request_goes_to_the_proxy(
    name: str, call: Call, to: Any, environ: Any, run: Any, looked_up: list[str]
) -> None:
    proxy = run(FaultServer([answers()]))
    environ(**{name: f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}"})
    to(f"http://{HOST}")
    assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
    (request,) = proxy.requests
    assert request.target == f"http://{HOST}/api/v1/lineage/bi/7/"
    assert request.headers["authorization"] == f"Key {API_KEY}"
    assert request.headers["proxy-authorization"].startswith("Basic ")
    # The proxy does that.
    assert looked_up == []


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
def tunnel(environ: Any, run: Any, authority: trustme.CA) -> Callable[[str, int], Tunnel]:
    """Start a proxy that really connects to a service, and set it in the environment."""

    def start(scheme: str, port: int) -> Tunnel:
        proxy: Tunnel = run(Tunnel(port, tls=tls(authority) if scheme == "https" else None))
        environ(HTTPS_PROXY=f"{scheme}://127.0.0.1:{proxy.port}")
        return proxy

    return start


@both
@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_tls_goes_through_a_tunnel(
    scheme: str,
    call: Call,
    secured: FaultServer,
    tunnel: Any,
    looked_up: list[str],
) -> None:
    proxy = tunnel(scheme, secured.port)
    for _ in range(2):
        assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
    assert proxy.asked == [(HOST, 443)] * 2
    assert secured.requests[0].headers["authorization"] == f"Key {API_KEY}"
    assert looked_up == []


@both
def test_plain_request_goes_through_socks(
    call: Call, to: Any, environ: Any, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service = run(FaultServer([answers()]))
    proxy = run(Tunnel(service.port))
    environ(HTTP_PROXY=f"socks5h://127.0.0.1:{proxy.port}")
    to(f"http://{HOST}:8080")
    assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
    assert proxy.asked == [(HOST, 8080)]
    assert service.requests[0].target == "/api/v1/lineage/bi/7/"
    libraries = ("requests", "urllib3")
    assert not [record for record in caplog.records if record.name.startswith(libraries)]


@both
def test_socks_proxy_knows_the_user(
    call: Call, secured: FaultServer, environ: Any, run: Any
) -> None:
    proxy = run(Tunnel(secured.port, user=(USER, PASSWORD)))
    environ(HTTPS_PROXY=f"socks5h://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}")
    assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
    assert proxy.asked == [(HOST, 443)]


@both
@pytest.mark.parametrize("address", [b"\1" + bytes(4), b"\3\3abc", b"\4" + bytes(16)])
def test_socks_replies_in_pieces(
    address: bytes, call: Call, secure: Any, environ: Any, run: Any
) -> None:
    replies = [b"\5\2", b"\1\0", b"\5\0\0" + address + bytes(2)]
    steps = [step for byte in b"".join(replies) for step in (bytes([byte]), 0.01)]
    proxy = run(FaultServer([says(*steps)], reads=False))
    environ(HTTPS_PROXY=f"socks5h://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}")
    # All was read, and the TLS handshake began.
    fails(call, DatafoldConnectionError, "the connection broke")


@pytest.mark.parametrize(
    ("call", "size", "is_sent"),
    [
        pytest.param(call_sync, 127, True, id="sync"),
        pytest.param(call_sync, 128, False, id="sync, too long for PySocks"),
        pytest.param(call_async, 255, True, id="async"),
        pytest.param(call_async, 256, False, id="async, too long for SOCKS"),
    ],
)
@pytest.mark.parametrize("is_user", [True, False])
def test_socks_login_that_is_too_long(
    is_user: bool,
    size: int,
    is_sent: bool,
    call: Call,
    secured: FaultServer,
    environ: Any,
    run: Any,
) -> None:
    login = ("u" * size, PASSWORD) if is_user else (USER, "p" * size)
    proxy = run(Tunnel(secured.port, user=login))
    environ(HTTPS_PROXY=f"socks5h://{':'.join(login)}@127.0.0.1:{proxy.port}")
    if is_sent:
        assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
    else:
        fails(call, DatafoldConfigurationError, UNUSABLE)
        assert proxy.asked == []


def test_session_goes_through_socks_for_others(to: Any, environ: Any, run: Any) -> None:
    service = run(FaultServer([answers()]))
    proxy = run(Tunnel(service.port))
    environ(HTTP_PROXY=f"socks5h://127.0.0.1:{proxy.port}")
    to(f"http://{HOST}")
    with DatafoldHook() as hook:
        # Before and after a call of ours on the same session.
        for _ in range(2):
            assert hook.get_conn().get(f"http://{HOST}/mine").json() == INTEGRATION
            assert hook.get_integration(7) == INTEGRATION
    assert set(proxy.asked) == {(HOST, 80)}
    assert [request.target for request in service.requests] == [
        "/mine",
        "/api/v1/lineage/bi/7/",
    ] * 2


# The errors if it fails.


def fails(call: Call, kind: type[DatafoldError], said: str) -> DatafoldError:
    with pytest.raises(DatafoldError) as caught:
        call(bi.GET, bi_datasource_id=7)
    assert type(caught.value) is kind
    assert said in str(caught.value)
    assert PASSWORD not in str(caught.value)
    return caught.value


@both
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_proxy_that_is_not_there(scheme: str, call: Call, to: Any, environ: Any, run: Any) -> None:
    closed = run(FaultServer([], door=Door.CLOSED))
    environ(HTTPS_PROXY=f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{closed.port}")
    to()
    fails(call, DatafoldUnreachableError, UNREACHABLE)


@both
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_proxy_that_takes_no_connection(
    scheme: str, call: Call, to: Any, environ: Any, run: Any
) -> None:
    full = run(FaultServer([], door=Door.FULL))
    environ(HTTPS_PROXY=f"{scheme}://127.0.0.1:{full.port}")
    to(timeout=0.5)
    fails(call, DatafoldUnreachableError, UNREACHABLE)


@both
def test_proxy_whose_name_is_not_known(
    call: Call, to: Any, environ: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    environ(HTTPS_PROXY="http://proxy.test:3128")
    to()
    fails(call, DatafoldUnreachableError, UNREACHABLE)


@both
@pytest.mark.parametrize("name", ["a..test", "a" * 64 + ".test"])
def test_proxy_with_a_name_that_none_can_have(name: str, call: Call, to: Any, environ: Any) -> None:
    environ(HTTPS_PROXY=f"http://{name}:3128")
    to()
    fails(call, DatafoldUnreachableError, UNREACHABLE)


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
    step: bytes | float,
    kind: type[DatafoldError],
    said: str,
    call: Call,
    to: Any,
    environ: Any,
    run: Any,
) -> None:
    proxy = run(FaultServer([says(step)]))
    environ(HTTPS_PROXY=f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}")
    to(timeout=0.5 if isinstance(step, float) else PATIENCE)
    fails(call, kind, said)
    (request,) = proxy.requests
    assert (request.method, request.target) == ("CONNECT", f"{HOST}:443")
    assert API_KEY not in request.text


NO_ROUTE = b"\5\4\0\1" + bytes(6)


@both
@pytest.mark.parametrize(
    "steps",
    [
        [],
        [FOR_EVER],
        [b"\5\xff"],
        [b"\5\0", 0.1, NO_ROUTE],
        [b"\5\0", FOR_EVER],
        [answer(400)],
    ],
    ids=["closes", "silent", "wants a user", "no route", "silent later", "speaks HTTP"],
)
def test_socks_proxy_that_does_not_connect(
    steps: list[bytes | float], call: Call, to: Any, environ: Any, run: Any
) -> None:
    proxy = run(FaultServer([says(*steps)], reads=False))
    environ(HTTPS_PROXY=f"socks5h://127.0.0.1:{proxy.port}")
    to(timeout=0.5 if FOR_EVER in steps else PATIENCE)
    fails(call, DatafoldUnreachableError, UNREACHABLE)
    assert proxy.connections == 1


@both
def test_socks_proxy_that_does_not_know_the_user(
    call: Call, secured: FaultServer, environ: Any, run: Any
) -> None:
    proxy = run(Tunnel(secured.port, user=(USER, "another")))
    environ(HTTPS_PROXY=f"socks5h://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}")
    fails(call, DatafoldUnreachableError, UNREACHABLE)
    assert (proxy.asked, secured.connections) == ([], 0)


@both
def test_service_behind_a_socks_proxy_that_is_silent(
    call: Call, to: Any, environ: Any, run: Any
) -> None:
    service = run(FaultServer([says(FOR_EVER)]))
    proxy = run(Tunnel(service.port))
    environ(HTTP_PROXY=f"socks5h://127.0.0.1:{proxy.port}")
    to(f"http://{HOST}", timeout=2)
    # The request may have been carried out, so the proxy is not blamed.
    fails(call, DatafoldTimeoutError, "no complete response within 2 s")
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
    call: Call, to: Any, environ: Any, run: Any, authority: trustme.CA
) -> None:
    proxy = run(FaultServer([says(answer(200, b""))], tls=tls(authority)))
    environ(HTTPS_PROXY=f"https://127.0.0.1:{proxy.port}")
    to(verify_ssl=False)
    for _ in range(5):
        fails(call, DatafoldConnectionError, "the connection broke")


@both
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_certificate_of_a_proxy_with_tls_is_checked(
    scheme: str, call: Call, to: Any, environ: Any, run: Any, authority: trustme.CA
) -> None:
    proxy = run(FaultServer([answers()], tls=tls(authority)))
    environ(**{f"{scheme.upper()}_PROXY": f"https://127.0.0.1:{proxy.port}"})
    to(f"{scheme}://{HOST}")
    fails(call, DatafoldCertificateError, "the TLS certificate was refused")
    assert proxy.requests == []


@both
def test_plain_request_goes_to_a_proxy_with_tls(
    call: Call, to: Any, environ: Any, run: Any, authority: trustme.CA, bundle: str
) -> None:
    proxy = run(FaultServer([answers()], tls=tls(authority)))
    environ(HTTP_PROXY=f"https://127.0.0.1:{proxy.port}")
    to(f"http://{HOST}", ca_bundle=bundle)
    assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
    assert proxy.requests[0].target == f"http://{HOST}/api/v1/lineage/bi/7/"


@both
def test_time_for_the_handshake_is_what_the_proxy_leaves(
    call: Call, to: Any, environ: Any, run: Any
) -> None:
    # It closes the connection when the time has been over for a while.
    proxy = run(FaultServer([says(1.5, answer(200, b""), 1.5)]))
    environ(HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}")
    to(timeout=2)
    fails(call, DatafoldTimeoutError, "within 2 s")


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
@pytest.mark.parametrize(
    "url", ["nonsense://127.0.0.1:1", "http://", "http://[x", "http://127.0.0.1:port"]
)
def test_proxy_that_is_none(url: str, call: Call, to: Any, environ: Any) -> None:
    environ(HTTPS_PROXY=url)
    to()
    error = fails(call, DatafoldConfigurationError, UNUSABLE)
    assert "install requests[socks] and socksio" in str(error)


@both
def test_password_of_the_proxy_is_not_shown(
    call: Call,
    to: Any,
    environ: Any,
    run: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy = run(FaultServer([answers(500, json.dumps({"detail": "x"}).encode())]))
    environ(HTTP_PROXY=f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}")
    to(f"http://{HOST}")
    with pytest.raises(DatafoldError):
        call(bi.GET, bi_datasource_id=7)
    assert "proxy-authorization" in proxy.requests[0].headers
    assert PASSWORD not in caplog.text
    assert proxy.requests[0].headers["proxy-authorization"].split()[1] not in caplog.text
