"""Requests and responses over real sockets: what is sent, and the error for each fault."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from airflow import __version__ as airflow_version

from airflow_provider_datafold import __version__, exceptions
from airflow_provider_datafold.client.deadline import Exchange
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import answer, answers, drips, head, is_huge, redirects, says
from dev.faults.server import Door, FaultServer, Then
from tests.certificates import tls
from tests.conftest import API_KEY
from tests.relay import Relay
from tests.sending import ask, failure

OK = answer(200, b"{}")
LARGEST = 10 * 1024 * 1024
"""Size of the largest response that is read."""

# Far more than any of these tests takes.
WHOLE = {"timeout": 60}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def to(connect: Any) -> Any:
    """Set the default connection to a host, for a single try."""

    def set_connection(host: str, **extra: Any) -> None:
        extra = {"max_retries": 0, "timeout": 5, "allow_http": True, **extra}
        connect("datafold_default", host=host, password=API_KEY, extra=extra)

    return set_connection


# Requests.


def test_sends_what_it_is_told(serve: Any, to: Any) -> None:
    server = serve(says(OK, Then.KEEP))
    to(f"http://127.0.0.1:{server.port}/prefix")
    assert ask(json={"a": 1}) == {}
    (request,) = server.requests
    assert (request.method, request.target) == ("PUT", "/prefix/path/")
    assert json.loads(request.body) == {"a": 1}
    assert request.headers["authorization"] == f"Key {API_KEY}"
    assert request.headers["user-agent"] == (
        f"airflow-provider-datafold/{__version__} apache-airflow/{airflow_version}"
    )
    assert request.headers["accept"] == "application/json"
    assert request.headers["content-type"] == "application/json"


def test_sends_no_body(serve: Any) -> None:
    server = serve(says(OK, Then.KEEP))
    ask(json=None)
    assert "content-type" not in server.requests[0].headers
    assert server.requests[0].body == b""


def test_sends_what_the_session_has(serve: Any) -> None:
    server = serve(answers(headers={"Set-Cookie": "session=1"}), answers())
    with DatafoldHook() as hook:
        hook.get_conn().headers["X-Gateway"] = "mine"
        for _ in range(2):
            hook.run("PUT", "/path/", {})
    assert [request.headers["x-gateway"] for request in server.requests] == ["mine", "mine"]
    # Each call is independent of earlier responses.
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(serve: Any, status: int) -> None:
    with FaultServer([answers()]) as other:
        elsewhere = f"http://127.0.0.1:{other.port}"
        server = serve(redirects(status, elsewhere=True), elsewhere=elsewhere)
        assert failure(exceptions.DatafoldRedirectError).status_code == status
    assert len(server.requests) == 1
    assert other.requests == []


def test_redirect_to_the_same_host_is_not_followed(serve: Any) -> None:
    server = serve(redirects(307, elsewhere=False))
    failure(exceptions.DatafoldRedirectError)
    assert len(server.requests) == 1


def test_connection_is_kept_and_a_new_one_made_when_the_service_closes_it(
    serve: Any, to: Any
) -> None:
    stays = says(OK, Then.KEEP)
    server = serve(stays, stays, says(OK), stays)
    with Relay(server.port) as relay, DatafoldHook() as hook:
        to(relay.url, timeout=0.4)
        # Longer than the deadline, which must not cut a connection that only waits.
        for pause in (0.6, 0.0, 0.1, 0.0):
            assert hook.run("GET", "/") == {}
            time.sleep(pause)
    assert len(server.requests) == 4
    assert relay.connections == 2


def test_key_is_not_shown(serve: Any) -> None:
    serve(answers())
    with DatafoldHook() as hook:
        session = hook.get_conn()
        assert API_KEY not in repr(session.auth)
        assert API_KEY not in str(session.headers)


def test_netrc_does_not_replace_the_key(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve(says(OK))
    ask()
    assert server.requests[0].headers["authorization"] == f"Key {API_KEY}"


# Limits.


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(drips(b"", OK), id="headers"),
        pytest.param(drips(head(200, {"Content-Length": "50"}), b" " * 50), id="body"),
        pytest.param(drips(head(200), b" " * 50), id="body without a length"),
        pytest.param(
            drips(head(200, {"Transfer-Encoding": "chunked"}) + b"1\r\n \r\n", b"0" * 50),
            id="chunk",
        ),
        pytest.param(says(10.0), id="silence"),
    ],
)
def test_time_is_for_the_whole_response(serve: Any, act: Any) -> None:
    serve(act, extra={"timeout": 0.7})
    error = failure(exceptions.DatafoldTimeoutError)
    assert error.status_code is None
    assert "0.7 s" in str(error)
    assert "'timeout'" in str(error)


def test_dripping_refusal_is_still_a_refusal(serve: Any) -> None:
    serve(drips(head(401, {"Content-Length": "50"}), b" " * 50), extra={"timeout": 0.7})
    assert failure(exceptions.DatafoldAuthenticationError).status_code == 401


def test_slow_response_within_the_time(serve: Any) -> None:
    serve(says(0.3, OK[:-1], 0.3, OK[-1:]), extra=WHOLE)
    assert ask() == {}


def test_only_what_the_hook_itself_sends_is_kept_out_of_the_library_s_log(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "urllib3")
    server = serve(answers())
    with DatafoldHook() as hook:
        hook.run("GET", "/ours")
        hook.get_conn().get(f"http://127.0.0.1:{server.port}/mine")
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("urllib3")]
    assert any("/mine" in message for message in logged)
    assert not any("/ours" in message for message in logged)


def test_the_session_gives_the_key_to_its_own_host_only(serve: Any) -> None:
    server = serve(answers())
    own = f"http://127.0.0.1:{server.port}"
    with DatafoldHook() as hook:
        session = hook.get_conn()
        assert repr(session.auth) == "KeyAuth(***)"
        for url in (own, f"{own}/", f"{own}?a=1", f"{own}/path"):
            assert session.get(url).status_code == 200
        for url in (own[:-1], f"http://127.0.0.1.test:{server.port}/", f"{own}@other.test/"):
            with pytest.raises(exceptions.DatafoldConfigurationError, match="sends it nowhere"):
                session.get(url)
    assert [sent.headers["authorization"] for sent in server.requests] == [f"Key {API_KEY}"] * 4


def test_an_address_in_brackets_is_connected_to(serve: Any) -> None:
    # As an address of IPv6 has them, which not every machine has.
    server = serve(answers())
    with Exchange(5).connect("[127.0.0.1]", server.port, ()) as connection:
        assert connection.getpeername() == ("127.0.0.1", server.port)


def test_others_may_use_the_session_without_a_limit(serve: Any) -> None:
    server = serve(says(0.3, OK), extra={"timeout": 0.2})
    with DatafoldHook() as hook:
        url = f"http://127.0.0.1:{server.port}/"
        assert hook.get_conn().get(url, timeout=None).json() == {}


@pytest.mark.parametrize(
    "act",
    [
        is_huge(200, {"Content-Length": str(300 << 20)}),
        is_huge(200),
        says(head(200, {"Content-Length": str(LARGEST + 1)}) + b"{}"),
        says(head(200, {"Content-Length": "9" * 5000})),
    ],
)
def test_huge_response_is_not_read(serve: Any, act: Any) -> None:
    serve(act, extra=WHOLE)
    error = failure(exceptions.DatafoldAnswerError)
    assert error.status_code == 200
    assert "10 MiB" in str(error)
    assert "may have been carried out" in str(error)


def test_largest_response_is_read(serve: Any) -> None:
    text = "x" * (LARGEST - 2)
    content = f'"{text}"'.encode()
    for act in (answers(200, content), says(head(200) + content)):
        serve(act, extra=WHOLE)
        assert ask() == text
    serve(says(head(200) + content + b" "), extra=WHOLE)
    failure(exceptions.DatafoldAnswerError)


def test_huge_refusal_is_still_a_refusal(serve: Any) -> None:
    serve(is_huge(401, {"Content-Length": str(300 << 20)}))
    assert failure(exceptions.DatafoldAuthenticationError).status_code == 401


@pytest.mark.parametrize("location", ["http://[x", "http://127.0.0.1:1/"])
def test_where_a_redirect_points_is_not_looked_at(serve: Any, location: str) -> None:
    serve(is_huge(302, {"Location": location, "Content-Length": str(300 << 20)}))
    assert failure(exceptions.DatafoldRedirectError).status_code == 302


@pytest.mark.parametrize(("interim", "is_read"), [(99, True), (100, False), (1000, False)])
def test_interim_responses_without_end(serve: Any, interim: int, is_read: bool) -> None:
    serve(says(b"HTTP/1.1 103 Early Hints\r\nX: x\r\n\r\n" * interim + OK), extra=WHOLE)
    if is_read:
        assert ask() == {}
    else:
        assert "connection broke" in str(failure(exceptions.DatafoldConnectionError))


# Faults.


@pytest.mark.parametrize(
    "act",
    [
        says(),
        says(Then.RESET),
        says(b"nonsense\r\n\r\n"),
        says(head(200, {"Content-Length": "50"}) + b"{"),
        says(head(200, {"Content-Length": "50"}) + b"{", Then.RESET),
        says(head(200, {"Transfer-Encoding": "chunked"}) + b"5\r\n{"),
        says(head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\n{"),
        answers(200, b"{}", {"Content-Length": "2, 3"}),
    ],
)
def test_broken_connection(serve: Any, act: Any) -> None:
    serve(act)
    error = failure(exceptions.DatafoldConnectionError)
    assert error.status_code is None
    assert "connection broke" in str(error)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(f"X-Echo {API_KEY}", id="no colon"),
        pytest.param(f": {API_KEY}", id="no name"),
        pytest.param(f"X-A: x\r\n\x0b{API_KEY}", id="odd white space"),
        pytest.param(f"{API_KEY} : x", id="white space before the colon"),
    ],
)
def test_malformed_header_is_not_logged(serve: Any, log: Any, field: str) -> None:
    serve(says(OK.replace(b"\r\n", f"\r\n{field}\r\n".encode(), 1)))
    assert "connection broke" in str(failure(exceptions.DatafoldConnectionError))
    assert API_KEY not in log.text


def test_broken_refusal_is_still_a_refusal(serve: Any) -> None:
    serve(says(head(403, {"Content-Length": "50"}) + b"{"))
    assert failure(exceptions.DatafoldPermissionError).status_code == 403


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_refused(serve: Any) -> None:
    serve(door=Door.CLOSED)
    error = failure(exceptions.DatafoldUnreachableError)
    assert "refused" in str(error)
    assert "scheme (https if it has none) and port" in str(error)


def test_no_room_for_a_connection(serve: Any) -> None:
    serve(door=Door.FULL, extra={"timeout": 0.5})
    error = failure(exceptions.DatafoldUnreachableError)
    assert "timed out" in str(error)


def test_slow_to_connect(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup that takes longer than the timeout."""
    resolve = socket.getaddrinfo

    def slowly(*arguments: Any, **named: Any) -> Any:
        time.sleep(0.3)
        return resolve(*arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    serve(door=Door.CLOSED, extra={"timeout": 0.1})
    failure(exceptions.DatafoldUnreachableError)


def test_no_such_host(to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    to("https://no-such-host.invalid")
    error = failure(exceptions.DatafoldUnreachableError)
    assert "no such host" in str(error)
    assert "no-such-host.invalid" in str(error)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("https://a..b", "'host' must be a host"),
        ("https://" + "a" * 64 + ".com", "'host' must be a host"),
        ("https://*", "connection's host"),
    ],
)
def test_impossible_address(to: Any, host: str, said: str) -> None:
    to(host)
    error = failure(exceptions.DatafoldConfigurationError)
    assert said in str(error)
    assert "'datafold_default'" in str(error)


# Certificates.


def test_trusted_certificate(serve: Any, authority: trustme.CA, bundle: str) -> None:
    serve(says(OK), tls=tls(authority), extra={"ca_bundle": bundle})
    assert ask() == {}


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_environments_bundle_counts(
    serve: Any, authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, bundle)
    serve(says(OK), tls=tls(authority))
    assert ask() == {}


def test_connections_bundle_wins_over_the_environments(
    serve: Any,
    authority: trustme.CA,
    bundle: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    serve(says(OK), tls=tls(authority), extra={"ca_bundle": bundle})
    assert ask() == {}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    server = serve(says(OK), tls=tls(authority), extra={"ca_bundle": str(other)})
    failure(exceptions.DatafoldCertificateError)
    assert server.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_no_verification_wins_over_the_environment(
    serve: Any, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    serve(says(OK), tls=tls(trustme.CA()), extra={"verify_ssl": False})
    assert ask() == {}


def test_unknown_authority(serve: Any) -> None:
    server = serve(says(OK), tls=tls(trustme.CA()))
    error = failure(exceptions.DatafoldCertificateError)
    assert "certificate was refused" in str(error)
    assert "'ca_bundle'" in str(error)
    assert server.requests == []


def test_certificate_of_another_host(serve: Any, authority: trustme.CA, bundle: str) -> None:
    server = serve(says(OK), tls=tls(authority, "acme.io"), extra={"ca_bundle": bundle})
    said = str(failure(exceptions.DatafoldCertificateError)).replace(str(server.port), "")
    assert said.count("127.0.0.1") == 2
    assert server.requests == []


def test_no_tls(serve: Any, to: Any) -> None:
    server = serve(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reads=False)
    to(f"https://127.0.0.1:{server.port}")
    error = failure(exceptions.DatafoldCertificateError)
    assert "TLS" in str(error)
    assert "begin the connection's host with http://" in str(error)


def test_certificate_of_the_client_is_wanted(
    serve: Any, authority: trustme.CA, bundle: str
) -> None:
    context = tls(authority)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = serve(says(OK), tls=context, extra={"ca_bundle": bundle})
    # The service often closes while the request is being sent.
    for _ in range(5):
        failure(exceptions.DatafoldCertificateError)
    assert server.requests == []


def test_tls_that_breaks_off_is_a_broken_connection(serve: Any, to: Any) -> None:
    server = serve(says(), reads=False)
    to(f"https://127.0.0.1:{server.port}")
    assert "connection broke" in str(failure(exceptions.DatafoldConnectionError))


def test_dripping_tls_response(serve: Any, authority: trustme.CA, bundle: str) -> None:
    extra = {"timeout": 0.7, "ca_bundle": bundle}
    serve(drips(b"", OK), tls=tls(authority), extra=extra)
    failure(exceptions.DatafoldTimeoutError)


def test_bundle_that_is_not_there(serve: Any) -> None:
    serve(says(OK), tls=tls(trustme.CA()), extra={"ca_bundle": "/no/such"})
    error = failure(exceptions.DatafoldConfigurationError)
    assert "'ca_bundle'" in str(error)


@pytest.mark.parametrize("size", [0, 300])
def test_bundle_that_is_none(serve: Any, bundle: str, tmp_path: Path, size: int) -> None:
    # Empty, or half-written.
    (tmp_path / "ca.pem").write_text(Path(bundle).read_text()[:size])
    serve(says(OK), tls=tls(trustme.CA()), extra={"ca_bundle": str(tmp_path / "ca.pem")})
    error = failure(exceptions.DatafoldConfigurationError)
    assert "the CA bundle cannot be read" in str(error)


# Proxies.


def test_proxy_of_the_environment(to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([says(OK)]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        to("http://acme.invalid")
        assert ask() == {}
    assert proxy.requests[0].target == "http://acme.invalid/path/"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_loopback_needs_no_proxy(serve: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    serve(says(OK))
    assert ask() == {}


def test_proxy_that_is_not_there(to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    to("https://acme.invalid")
    error = failure(exceptions.DatafoldUnreachableError)
    assert "proxy" in str(error)
    assert "HTTPS_PROXY" in str(error)


@pytest.mark.parametrize("status", [401, 403, 407])
def test_proxy_that_refuses(to: Any, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with FaultServer([answers(status)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        to("https://acme.invalid")
        error = failure(exceptions.DatafoldConfigurationError)
    assert "proxy" in str(error)
    assert "HTTPS_PROXY" in str(error)
    assert [request.method for request in proxy.requests] == ["CONNECT"]
    assert API_KEY not in proxy.requests[0].text


def test_proxy_that_fails(to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([answers(502)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        to("https://acme.invalid")
        failure(exceptions.DatafoldUnreachableError)


def test_proxy_that_breaks_off_may_have_passed_it_on(
    to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([says()]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        to("http://acme.invalid")
        error = failure(exceptions.DatafoldConnectionError)
    assert "connection broke" in str(error)
    assert len(proxy.requests) == 1


def test_proxy_that_drips(to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([drips(b"", b"HTTP/1.1 200 OK\r\n\r\n")]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        to("https://acme.invalid", timeout=0.7)
        failure(exceptions.DatafoldTimeoutError)
