"""The request path over real sockets: what goes out, and what each fault is called."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import urllib3

from airflow_provider_datafold import exceptions, transport
from airflow_provider_datafold.answer import Answer
from airflow_provider_datafold.connection import Settings
from airflow_provider_datafold.transport import LARGEST_ANSWER, KeyAuth, exchange, open_session
from dev.faults.behaviours import answer, answers, bomb, drips, head, is_huge, redirects, says
from dev.faults.server import FaultServer, Then

KEY = "planted-api-key-7c1f"
OK = answer(200, b"{}")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


def tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def settings(base_url: str, **more: Any) -> Settings:
    return Settings("mine", base_url, KEY, **{"timeout": 5.0, **more})


def send(base_url: str, body: bytes | None = b"{}", **more: Any) -> Answer:
    set_up = settings(base_url, **more)
    with open_session(set_up, "agent") as session:
        return exchange(session, set_up, "PUT", "/path/", body)


def error(
    base_url: str,
    kind: type[exceptions.DatafoldError],
    status_code: int | None = None,
    **more: Any,
) -> str:
    with pytest.raises(exceptions.DatafoldError) as caught:
        send(base_url, **more)
    assert type(caught.value) is kind
    assert caught.value.status_code == status_code
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


def test_sends_what_it_is_told() -> None:
    with FaultServer([says(OK, Then.KEEP)]) as server:
        got = send(f"http://127.0.0.1:{server.port}/prefix", body=b'{"a": 1}')
    (request,) = server.requests
    assert (request.method, request.target, request.body) == ("PUT", "/prefix/path/", b'{"a": 1}')
    assert request.headers["authorization"] == f"Key {KEY}"
    assert request.headers["user-agent"] == "agent"
    assert request.headers["accept"] == "application/json"
    assert request.headers["content-type"] == "application/json"
    assert (got.status_code, got.content, got.is_success) == (200, b"{}", True)
    assert got.headers["content-TYPE"] == "application/json"


def test_sends_no_body() -> None:
    with FaultServer([says(OK, Then.KEEP)]) as server:
        send(f"http://127.0.0.1:{server.port}", body=None)
    assert "content-type" not in server.requests[0].headers
    assert server.requests[0].body == b""


def test_sends_what_the_session_has() -> None:
    with FaultServer([answers(headers={"Set-Cookie": "session=1"}), answers()]) as server:
        set_up = settings(f"http://127.0.0.1:{server.port}")
        with open_session(set_up, "agent") as session:
            session.headers["X-Gateway"] = "mine"
            for _ in range(2):
                exchange(session, set_up, "PUT", "/path/", b"{}")
    assert [request.headers["x-gateway"] for request in server.requests] == ["mine", "mine"]
    # Each call is independent of earlier answers.
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(
    ("status", "success"), [(199, False), (200, True), (299, True), (300, False)]
)
def test_success_is_2xx(status: int, success: bool) -> None:
    assert Answer(status, {}, b"").is_success is success


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_an_answer(status: int) -> None:
    with FaultServer([answers()]) as other:
        elsewhere = f"http://127.0.0.1:{other.port}"
        with FaultServer([redirects(status, elsewhere=True)], elsewhere=elsewhere) as server:
            got = send(f"http://127.0.0.1:{server.port}")
    assert got.status_code == status
    assert len(server.requests) == 1
    assert other.requests == []


def test_redirect_is_not_followed_in_any_session() -> None:
    with FaultServer([answers()]) as other:
        elsewhere = f"http://127.0.0.1:{other.port}"
        with FaultServer([redirects(307, elsewhere=True)], elsewhere=elsewhere) as server:
            set_up = settings(f"http://127.0.0.1:{server.port}")
            with requests.Session() as session:
                got = exchange(session, set_up, "PUT", "/path/", b"{}")
    assert got.status_code == 307
    assert other.requests == []


def test_connection_is_kept_and_a_new_one_made_when_the_service_closes_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "urllib3")
    stays = says(OK, Then.KEEP)
    with FaultServer([stays, stays, says(OK), stays]) as server:
        set_up = settings(f"http://127.0.0.1:{server.port}", timeout=0.4)
        with open_session(set_up, "agent") as session:
            # Longer than the deadline, which must not cut a connection that only waits.
            for pause in (0.6, 0.0, 0.1, 0.0):
                assert exchange(session, set_up, "GET", "/", None).status_code == 200
                time.sleep(pause)
    assert len(server.requests) == 4
    assert caplog.text.count("Starting new HTTP connection") == 1
    assert caplog.text.count("Resetting dropped connection") == 1


def test_only_one_connection_is_kept() -> None:
    with open_session(settings("https://127.0.0.1"), "agent") as session:
        for url in ("https://127.0.0.1/", "http://127.0.0.1/"):
            pools = session.get_adapter(url).poolmanager
            assert pools.connection_pool_kw["maxsize"] == pools.pools._maxsize == 1


def test_key_is_not_shown() -> None:
    assert repr(KeyAuth(KEY)) == "KeyAuth(***)"


def test_netrc_does_not_replace_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other")
    monkeypatch.setenv("NETRC", str(netrc))
    with FaultServer([says(OK)]) as server:
        send(f"http://127.0.0.1:{server.port}")
    assert server.requests[0].headers["authorization"] == f"Key {KEY}"


# --- limits


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
def test_deadline_is_for_the_whole_answer(act: Any) -> None:
    started = time.monotonic()
    with FaultServer([act]) as server:
        said = error(
            f"http://127.0.0.1:{server.port}", exceptions.DatafoldTimeoutError, timeout=0.7
        )
        assert 0.6 < time.monotonic() - started < 3
    assert said == (
        "no whole answer within 0.7 s. Try again later, or give the connection a larger 'timeout'"
    )


def test_dripping_refusal_is_still_a_refusal() -> None:
    with FaultServer([drips(head(401, {"Content-Length": "50"}), b" " * 50)]) as server:
        got = send(f"http://127.0.0.1:{server.port}", timeout=0.7)
    assert (got.status_code, got.content) == (401, b"")


def test_dripping_tls_answer(authority: trustme.CA, bundle: str) -> None:
    with FaultServer([drips(b"", OK)], tls=tls(authority)) as server:
        url = f"https://127.0.0.1:{server.port}"
        error(url, exceptions.DatafoldTimeoutError, timeout=0.7, verify=bundle)


def test_slow_answer_within_the_deadline() -> None:
    with FaultServer([says(0.3, OK[:-1], 0.3, OK[-1:])]) as server:
        assert send(f"http://127.0.0.1:{server.port}", timeout=2).content == b"{}"


def test_nothing_is_read_when_the_time_is_over() -> None:
    service, client = socket.socketpair()
    with service, client, client.makefile("rb", buffering=0) as raw:
        service.send(b"too late")
        reader = transport._TimedReader(raw, client, 0.0)
        with pytest.raises(TimeoutError):
            reader.read(1)


def test_others_may_use_the_session_without_a_deadline() -> None:
    with FaultServer([says(0.3, OK)]) as server:
        set_up = settings(f"http://127.0.0.1:{server.port}", timeout=0.2)
        with open_session(set_up, "agent") as session:
            assert session.get(set_up.base_url, timeout=None).json() == {}


@pytest.mark.parametrize(
    "act",
    [
        is_huge(200, {"Content-Length": str(300 << 20)}),
        is_huge(200),
        bomb(1),
        says(head(200, {"Content-Length": str(LARGEST_ANSWER + 1)}) + b"{}"),
    ],
)
def test_huge_answer_is_not_read(act: Any) -> None:
    with FaultServer([act]) as server:
        url = f"http://127.0.0.1:{server.port}"
        said = error(url, exceptions.DatafoldAnswerError, status_code=200, timeout=20)
    assert said == (
        "200 with an answer of over 10 MiB, which was not read. The request may have been "
        "carried out; no answer of Datafold's API is that large, so check the host"
    )


def test_largest_answer_is_read() -> None:
    content = b"x" * LARGEST_ANSWER
    with FaultServer([answers(200, content)]) as server:
        assert send(f"http://127.0.0.1:{server.port}").content == content
    with FaultServer([says(head(200) + content)]) as server:
        assert send(f"http://127.0.0.1:{server.port}").content == content
    with FaultServer([says(head(200) + content + b"x")]) as server:
        error(f"http://127.0.0.1:{server.port}", exceptions.DatafoldAnswerError, status_code=200)


def test_huge_refusal_is_still_a_refusal() -> None:
    with FaultServer([is_huge(401, {"Content-Length": str(300 << 20)})]) as server:
        got = send(f"http://127.0.0.1:{server.port}")
    assert (got.status_code, got.content) == (401, b"")


def test_answer_of_an_absurd_length() -> None:
    with FaultServer([says(head(200, {"Content-Length": "9" * 5000}))]) as server:
        error(f"http://127.0.0.1:{server.port}", exceptions.DatafoldAnswerError, status_code=200)


def test_answer_that_can_not_be_unpacked() -> None:
    with FaultServer([answers(200, b"no gzip", {"Content-Encoding": "gzip"})]) as server:
        said = error(f"http://127.0.0.1:{server.port}", exceptions.DatafoldAnswerError)
    assert said == (
        "the answer can't be unpacked as its Content-Encoding says. The request may have been "
        "carried out"
    )


def test_where_a_redirect_points_is_not_looked_at() -> None:
    for location in ("http://[x", "http://127.0.0.1:1/"):
        fields = {"Location": location, "Content-Length": str(300 << 20)}
        with FaultServer([is_huge(302, fields)]) as server:
            got = send(f"http://127.0.0.1:{server.port}")
        assert (got.status_code, got.content) == (302, b"")


def test_packed_answer_is_unpacked() -> None:
    packed = answers(200, gzip.compress(b'{"a": 1}'), {"Content-Encoding": "gzip"})
    with FaultServer([packed]) as server:
        assert send(f"http://127.0.0.1:{server.port}").content == b'{"a": 1}'


# --- faults


BROKE = "the connection broke before the whole answer was there. Try again later"


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
def test_broken_connection(act: Any) -> None:
    with FaultServer([act]) as server:
        said = error(f"http://127.0.0.1:{server.port}", exceptions.DatafoldConnectionError)
    assert said == BROKE


def test_broken_refusal_is_still_a_refusal() -> None:
    with FaultServer([says(head(403, {"Content-Length": "50"}) + b"{")]) as server:
        assert send(f"http://127.0.0.1:{server.port}").status_code == 403


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_refused() -> None:
    said = error(f"http://127.0.0.1:{free_port()}", exceptions.DatafoldUnreachableError)
    assert said == (
        "no connection came about (refused). Check the connection's host and port, and the "
        "network between"
    )


def test_no_room_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(urllib3.util.connection, "create_connection", connect)
    said = error("http://127.0.0.1:9", exceptions.DatafoldUnreachableError)
    assert said.startswith("no connection came about (no answer in time). Check the connection's")


def test_slow_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server, say, on whose answer the deadline finds nothing to cut yet."""

    def connect(*_: Any, **__: Any) -> None:
        time.sleep(0.3)
        raise ConnectionRefusedError

    monkeypatch.setattr(urllib3.util.connection, "create_connection", connect)
    said = error("http://127.0.0.1:9", exceptions.DatafoldUnreachableError, timeout=0.1)
    assert said.startswith("no connection came about (refused)")


def test_timeout_that_comes_before_the_deadline() -> None:
    foreign = requests.ConnectionError()
    foreign.__cause__ = urllib3.exceptions.ReadTimeoutError(None, None, None)  # type: ignore[arg-type]
    problem = transport._translate(foreign, settings("https://acme.io"))
    assert type(problem) is exceptions.DatafoldTimeoutError
    assert str(problem).startswith("no whole answer within 5 s. Try again later")


def test_no_such_host() -> None:
    said = error("https://no-such-host.invalid", exceptions.DatafoldUnreachableError)
    assert said == ("there is no such host. Check the connection's host, then the network's DNS")


@pytest.mark.parametrize("base_url", ["https://a..b", "https://" + "a" * 70 + ".com", "https://*"])
def test_impossible_address(base_url: str) -> None:
    said = error(base_url, exceptions.DatafoldConfigurationError)
    assert said == "the address can't be used. Check the connection's host"


# --- certificates


def test_trusted_certificate(authority: trustme.CA, bundle: str) -> None:
    with FaultServer([says(OK)], tls=tls(authority)) as server:
        assert send(f"https://127.0.0.1:{server.port}", verify=bundle).status_code == 200


def test_environments_bundle_counts(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with FaultServer([says(OK)], tls=tls(authority)) as server:
        assert send(f"https://127.0.0.1:{server.port}").status_code == 200


def test_connections_bundle_wins_over_the_environments(
    authority: trustme.CA, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with FaultServer([says(OK)], tls=tls(authority)) as server:
        assert send(f"https://127.0.0.1:{server.port}", verify=bundle).status_code == 200
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with FaultServer([says(OK)], tls=tls(authority)) as server:
        url = f"https://127.0.0.1:{server.port}"
        error(url, exceptions.DatafoldCertificateError, verify=str(other))
    assert server.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_no_verification_wins_over_the_environment(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with FaultServer([says(OK)], tls=tls(trustme.CA())) as server:
        assert send(f"https://127.0.0.1:{server.port}", verify=False).status_code == 200


def test_unknown_authority() -> None:
    with FaultServer([says(OK)], tls=tls(trustme.CA())) as server:
        said = error(f"https://127.0.0.1:{server.port}", exceptions.DatafoldCertificateError)
    assert said.startswith("the TLS certificate was refused (")
    assert said.endswith(
        "If a CA of your own signed it, name the CA's file in the connection's 'ca_bundle'"
    )
    assert server.requests == []


def test_certificate_of_another_host(authority: trustme.CA, bundle: str) -> None:
    with FaultServer([says(OK)], tls=tls(authority, "acme.io")) as server:
        url = f"https://127.0.0.1:{server.port}"
        said = error(url, exceptions.DatafoldCertificateError, verify=bundle)
    assert "127.0.0.1" in said


def test_no_tls() -> None:
    with FaultServer([says(b"HTTP/1.1 400 Bad Request\r\n\r\n")], reads=False) as server:
        said = error(f"https://127.0.0.1:{server.port}", exceptions.DatafoldCertificateError)
    assert said.startswith("no TLS connection came about (")
    assert "Check that the host speaks https on this port" in said


def test_certificate_of_the_client_is_wanted(authority: trustme.CA, bundle: str) -> None:
    context = tls(authority)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with FaultServer([says(OK)], tls=context) as server:
        url = f"https://127.0.0.1:{server.port}"
        error(url, exceptions.DatafoldCertificateError, verify=bundle)


def test_causes_are_found_wherever_they_are_and_each_once() -> None:
    first, second, third = ValueError("a"), KeyError("b"), OSError("c")
    first.args = (second,)
    second.__context__ = third
    third.__cause__ = first
    assert list(transport._causes(first)) == [first, second, third]


def test_tls_that_breaks_off_is_a_broken_connection() -> None:
    with FaultServer([says()], reads=False) as server:
        url = f"https://127.0.0.1:{server.port}"
        assert error(url, exceptions.DatafoldConnectionError) == BROKE


def test_bundle_that_is_not_there() -> None:
    said = error("https://127.0.0.1:9", exceptions.DatafoldConfigurationError, verify="/no/such")
    assert said == (
        "the CA bundle can't be read. Check the file that 'ca_bundle' or REQUESTS_CA_BUNDLE names"
    )


def test_bundle_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    with FaultServer([says(OK)], tls=tls(trustme.CA())) as server:
        error(
            f"https://127.0.0.1:{server.port}",
            exceptions.DatafoldCertificateError,
            verify=str(tmp_path / "ca.pem"),
        )


# --- proxies


def test_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([says(OK)]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert send("http://acme.invalid").status_code == 200
    assert proxy.requests[0].target == "http://acme.invalid/path/"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_loopback_needs_no_proxy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with FaultServer([says(OK)]) as server:
        assert send(f"http://127.0.0.1:{server.port}").status_code == 200


def test_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    said = error("https://acme.invalid", exceptions.DatafoldUnreachableError)
    assert said == (
        "the proxy gave no connection. Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the worker's "
        "environment"
    )


@pytest.mark.parametrize("status", [401, 403, 407])
def test_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with FaultServer([answers(status)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        said = error("https://acme.invalid", exceptions.DatafoldConfigurationError)
    assert said == (
        "the proxy lets no connection through. Check its user and password in HTTPS_PROXY, "
        "whether it allows the host, and NO_PROXY, in the worker's environment"
    )
    assert [request.method for request in proxy.requests] == ["CONNECT"]
    assert KEY not in proxy.requests[0].text


def test_proxy_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([answers(502)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        error("https://acme.invalid", exceptions.DatafoldUnreachableError)


def test_proxy_that_breaks_off_may_have_passed_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer([says()]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        said = error("http://acme.invalid", exceptions.DatafoldConnectionError)
    assert said == "the connection broke before the whole answer was there. Try again later"
    assert len(proxy.requests) == 1


def test_proxy_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    with FaultServer([drips(b"", b"HTTP/1.1 200 OK\r\n\r\n")]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(exceptions.DatafoldTransientError):
            send("https://acme.invalid", timeout=0.7)
    assert time.monotonic() - started < 3


def test_manager_of_another_kind_of_proxy_keeps_its_pools(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = urllib3.PoolManager()
    pools = other.pool_classes_by_scheme
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "proxy_manager_for", lambda *_, **__: other)
    adapter = open_session(settings("https://acme.io"), "agent").get_adapter("https://acme.io")
    assert isinstance(adapter, transport._TimedAdapter)
    assert adapter.proxy_manager_for("socks5://127.0.0.1:9") is other
    assert other.pool_classes_by_scheme is pools
