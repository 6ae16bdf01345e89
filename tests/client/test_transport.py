"""Requests and responses over real sockets, with either driver: what is sent, limits, errors.

The outcome of every fault of a service is in the table of dev/faults.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import socket
import ssl
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
import trustme
from airflow import __version__ as airflow_version
from cryptography import x509

from airflow_provider_datafold import __version__
from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client.async_driver import AsyncClient
from airflow_provider_datafold.client.deadline import Exchange
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldAuthenticationError,
    DatafoldCertificateError,
    DatafoldConfigurationError,
    DatafoldConnectionError,
    DatafoldError,
    DatafoldPermissionError,
    DatafoldRedirectError,
    DatafoldTimeoutError,
    DatafoldUnreachableError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.redaction.secret import Secret, conceal
from dev.faults.behaviours import (
    FOR_EVER,
    INTEGRATION,
    answer,
    answers,
    drips,
    head,
    is_huge,
    redirects,
    says,
)
from dev.faults.server import Behaviour, Door, FaultServer, Then
from tests.certificates import tls
from tests.conftest import API_KEY, TOKEN
from tests.drivers import UPDATE, Call, both, call_async, call_sync
from tests.relay import Relay
from tests.sending import failure
from tests.tunnel import Tunnel

OK = answer(200, b"{}")
BODY: dict[str, Any] = {"token": TOKEN, "bindings": [], "indexing_cron": None}
MOST = 10 << 20
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


def update(call: Call) -> Any:
    return call(UPDATE, BODY, bi_datasource_id=7)


def fails(call: Call, kind: type[DatafoldError], said: str = "") -> DatafoldError:
    """Make an update that must fail, and check that its error contains no secret."""
    error = failure(kind, lambda: update(call))
    assert said in str(error)
    return error


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
def test_sends_no_body(call: Call, serve: Any) -> None:
    server = serve(answers())
    assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
    assert "content-type" not in server.requests[0].headers
    assert server.requests[0].body == b""


# Limits.


@both
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
        pytest.param(says(FOR_EVER), id="silence"),
    ],
)
def test_time_is_for_the_whole_response(call: Call, serve: Any, act: Behaviour) -> None:
    serve(act, extra={"timeout": 0.7})
    error = fails(call, DatafoldTimeoutError, "no complete response within 0.7 s")
    assert error.status_code is None
    assert "'timeout'" in str(error)


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


@pytest.mark.parametrize(("interim", "is_read"), [(99, True), (100, False), (1000, False)])
def test_interim_responses_without_end(serve: Any, interim: int, is_read: bool) -> None:
    serve(says(b"HTTP/1.1 103 Early Hints\r\nX: x\r\n\r\n" * interim + OK), extra=WHOLE)
    if is_read:
        assert update(call_sync) == {}
    else:
        fails(call_sync, DatafoldConnectionError, "connection broke")


@pytest.mark.parametrize(("fields", "is_read"), [(98, True), (99, False)])
def test_header_of_many_fields(serve: Any, fields: int, is_read: bool) -> None:
    # 100 or 101, including Content-Type and Content-Length.
    serve(answers(200, b"{}", {f"X-{number}": "x" for number in range(fields)}))
    if is_read:
        assert update(call_async) == {}
    else:
        fails(call_async, DatafoldConnectionError, "the connection broke")


# Faults.


@both
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
def test_broken_connection(call: Call, serve: Any, act: Behaviour) -> None:
    serve(act)
    assert fails(call, DatafoldConnectionError, "the connection broke").status_code is None


@both
def test_refused(call: Call, serve: Any) -> None:
    serve(door=Door.CLOSED)
    error = fails(call, DatafoldUnreachableError, "could not connect (refused)")
    assert "scheme (https if it has none) and port" in str(error)


@both
def test_no_room_for_a_connection(call: Call, serve: Any) -> None:
    serve(door=Door.FULL, extra={"timeout": 0.5})
    fails(call, DatafoldUnreachableError, "could not connect (timed out)")


@both
def test_no_such_host(call: Call, to: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    to("https://no-such-host.invalid")
    error = fails(call, DatafoldUnreachableError, "there is no such host")
    assert "no-such-host.invalid" in str(error)


@both
def test_plain_proxy_that_breaks_off_may_have_passed_it_on(
    call: Call, to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer([says()]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        to("http://acme.invalid")
        fails(call, DatafoldConnectionError, "connection broke")
    assert len(proxy.requests) == 1


# Certificates.


@both
@pytest.mark.parametrize("name", [None, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_trusted_certificate(
    call: Call,
    serve: Any,
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str | None,
) -> None:
    if name:
        monkeypatch.setenv(name, bundle)
    server = serve(says(OK), tls=tls(authority), extra={} if name else {"ca_bundle": bundle})
    assert update(call) == {}
    assert server.requests[0].headers["authorization"] == f"Key {API_KEY}"


@both
def test_connections_bundle_wins_over_the_environments(
    call: Call,
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
    assert update(call) == {}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    server = serve(says(OK), tls=tls(authority), extra={"ca_bundle": str(other)})
    fails(call, DatafoldCertificateError, "certificate was refused")
    assert server.requests == []


@both
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_no_verification_is_for_its_connection_only(
    call: Call, serve: Any, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    serve(says(OK), tls=tls(trustme.CA()), extra={"verify_ssl": False})
    assert update(call) == {}
    server = serve(says(OK), tls=tls(trustme.CA()))
    fails(call, DatafoldCertificateError, "the TLS certificate was refused")
    assert server.requests == []


@both
def test_unknown_authority(call: Call, serve: Any) -> None:
    server = serve(says(OK), tls=tls(trustme.CA()))
    error = fails(call, DatafoldCertificateError, "certificate was refused")
    assert "'ca_bundle'" in str(error)
    assert server.requests == []


@both
def test_certificate_of_another_host(
    call: Call, serve: Any, authority: trustme.CA, bundle: str
) -> None:
    server = serve(says(OK), tls=tls(authority, "acme.io"), extra={"ca_bundle": bundle})
    fails(call, DatafoldCertificateError, "the TLS certificate was refused")
    assert server.requests == []


@both
def test_no_tls(call: Call, serve: Any, to: Any) -> None:
    server = serve(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reads=False)
    to(f"https://127.0.0.1:{server.port}")
    fails(call, DatafoldCertificateError, "begin the connection's host with http://")


@both
def test_tls_that_breaks_off_is_a_broken_connection(call: Call, serve: Any, to: Any) -> None:
    server = serve(says(), reads=False)
    to(f"https://127.0.0.1:{server.port}")
    fails(call, DatafoldConnectionError, "the connection broke")


@both
def test_dripping_tls_response(call: Call, serve: Any, authority: trustme.CA, bundle: str) -> None:
    extra = {"timeout": 0.7, "ca_bundle": bundle}
    serve(drips(b"", OK), tls=tls(authority), extra=extra)
    fails(call, DatafoldTimeoutError, "within 0.7 s")


@both
@pytest.mark.parametrize("size", [None, 0, 300], ids=["missing", "empty", "half-written"])
def test_bundle_that_is_none(
    call: Call, serve: Any, bundle: str, tmp_path: Path, size: int | None
) -> None:
    file = tmp_path / "ca.pem"
    if size is not None:
        file.write_text(Path(bundle).read_text()[:size])
    server = serve(says(OK), tls=tls(trustme.CA()), extra={"ca_bundle": str(file)})
    error = fails(call, DatafoldConfigurationError, "the CA bundle cannot be read")
    assert "'ca_bundle'" in str(error)
    assert server.requests == []


# The hook's own session.


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
        assert fails(call_sync, DatafoldRedirectError).status_code == status
    assert len(server.requests) == 1
    assert other.requests == []


@pytest.mark.parametrize("location", ["http://[x", "http://127.0.0.1:1/"])
def test_where_a_redirect_points_is_not_looked_at(serve: Any, location: str) -> None:
    serve(is_huge(302, {"Location": location, "Content-Length": str(300 << 20)}))
    assert fails(call_sync, DatafoldRedirectError).status_code == 302


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


def test_netrc_does_not_replace_the_key(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve(says(OK))
    update(call_sync)
    assert server.requests[0].headers["authorization"] == f"Key {API_KEY}"


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
            with pytest.raises(DatafoldConfigurationError, match="sends it nowhere"):
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
    assert "connection broke" in str(fails(call_sync, DatafoldConnectionError))
    assert API_KEY not in log.text


def test_slow_to_connect(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup that takes longer than the timeout."""
    resolve = socket.getaddrinfo

    def slowly(*arguments: Any, **named: Any) -> Any:
        time.sleep(0.3)
        return resolve(*arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    serve(door=Door.CLOSED, extra={"timeout": 0.1})
    fails(call_sync, DatafoldUnreachableError)


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
    error = fails(call_sync, DatafoldConfigurationError)
    assert said in str(error)
    assert "'datafold_default'" in str(error)


def test_certificate_of_the_client_is_wanted(
    serve: Any, authority: trustme.CA, bundle: str
) -> None:
    context = tls(authority)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = serve(says(OK), tls=context, extra={"ca_bundle": bundle})
    # The service often closes while the request is being sent.
    for _ in range(5):
        fails(call_sync, DatafoldCertificateError)
    assert server.requests == []


# The client of the triggerer.


async def opened() -> AsyncClient:
    """Make a client for the default connection."""
    return AsyncClient(await fetch_settings_async("datafold_default"), "mine/1.0")


async def send(client: AsyncClient, number: int = 7) -> Any:
    return await client.call(UPDATE, conceal(BODY), bi_datasource_id=number)


async def once() -> Any:
    async with await opened() as client:
        return await send(client)


async def gone(task: asyncio.Task[Any]) -> type[BaseException]:
    try:
        await task
    except asyncio.CancelledError as error:
        return type(error)
    raise AssertionError("It ended by itself.")


def test_each_request_has_a_connection_of_its_own(serve: Any) -> None:
    async def calls() -> list[Any]:
        async with await opened() as client:
            return [await send(client, number) for number in (1, 2, 3)]

    server = serve(answers())
    assert asyncio.run(calls()) == [INTEGRATION] * 3
    assert server.connections == 3
    assert {sent.headers["connection"] for sent in server.requests} == {"close"}


def test_other_tasks_go_on_meanwhile(serve: Any) -> None:
    async def calls() -> tuple[Any, Any]:
        async with await opened() as slow, await opened() as fast:
            waiting = asyncio.create_task(send(slow))
            while not server.requests:
                await asyncio.sleep(0.01)
            return await send(fast), waiting.cancel() and await gone(waiting)

    server = serve(says(FOR_EVER), answers())
    assert asyncio.run(calls()) == (INTEGRATION, asyncio.CancelledError)


def test_what_libraries_log_shows_no_secret(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    serve(answers(200, b"{}", {"Set-Cookie": "session=planted-cookie"}))
    asyncio.run(once(), debug=True)
    assert [secret for secret in (API_KEY, TOKEN, "planted-cookie") if secret in caplog.text] == []


def test_address_that_cannot_be_used() -> None:
    async def get() -> Any:
        settings = Settings("mine", "https://datafold.test:port", Secret(API_KEY))
        return await AsyncClient(settings, "mine/1.0").call(bi.GET, bi_datasource_id=7)

    with pytest.raises(DatafoldConfigurationError, match="the address cannot be used"):
        asyncio.run(get())


@pytest.mark.parametrize("act", [says(FOR_EVER), drips(head(200), b" " * 100)])
def test_cancelled_call_leaves_no_frame_that_shows_it(serve: Any, act: Behaviour) -> None:
    async def cancelled() -> BaseException:
        client = await opened()
        task = asyncio.create_task(send(client))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            assert await send(client) == INTEGRATION
            return error
        raise AssertionError("It ended by itself.")

    server = serve(act, answers())
    error: BaseException | None = asyncio.run(cancelled())
    modules = set()
    # Before Python 3.11 each await of a task that was cancelled adds an error to the chain.
    while error is not None:
        assert sys.version_info < (3, 11) or error.__context__ is None
        for frame, _ in traceback.walk_tb(error.__traceback__):
            modules.add(frame.f_globals["__name__"].partition(".")[0])
            assert API_KEY not in repr(frame.f_locals)
        error = error.__context__
    assert modules <= {"tests", "airflow_provider_datafold"}


def name_in_folder(authority: trustme.CA) -> str:
    """The name that OpenSSL looks for: a hash of the subject, in small letters and in UTF-8."""
    subject = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject
    small = [x509.Name([x509.NameAttribute(part.oid, str(part.value).lower())]) for part in subject]
    # Each without the tag and the length of the sequence.
    encoded = b"".join(name.public_bytes()[2:] for name in small)
    return f"{int.from_bytes(hashlib.sha1(encoded).digest()[:4], 'little'):08x}.0"


def test_ca_folder(serve: Any, authority: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / name_in_folder(authority)
    authority.cert_pem.write_to_path(str(file))
    # Such folders are full of links, and some lead nowhere.
    (tmp_path / "gone.pem").symlink_to("nowhere")
    serve(answers(), tls=tls(authority), extra={"ca_bundle": str(tmp_path)})
    assert update(call_async) == INTEGRATION
    file.unlink()
    fails(call_async, DatafoldCertificateError, "the TLS certificate was refused")


def test_socks_needs_a_library(serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    service = serve(answers())
    # All else works.
    assert update(call_async) == INTEGRATION
    with Tunnel(service.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
        extra = {"max_retries": 0, "timeout": 5}
        connect("datafold_default", host="https://datafold.test", password=API_KEY, extra=extra)
        fails(call_async, DatafoldConfigurationError, "install requests[socks] and socksio")
        assert proxy.asked == []


def test_calls_at_once_do_not_wait_for_each_other(connect: Any) -> None:
    def slow(_: Any) -> Any:
        return [0.3, answer(200, b'{"id": 7}'), Then.KEEP]

    async def calls() -> list[Any]:
        async with AsyncClient(settings, "tests") as client:
            asked = (client.call(bi.GET, bi_datasource_id=7) for _ in range(20))
            return await asyncio.gather(*asked)

    with FaultServer([slow]) as server:
        base_url = f"http://127.0.0.1:{server.port}"
        settings = Settings("mine", base_url, Secret(API_KEY), timeout=4, max_retries=0)
        assert asyncio.run(calls()) == [{"id": 7}] * 20
