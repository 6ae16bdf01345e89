"""The asynchronous client: its requests, limits, TLS and errors."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import socket
import sys
import traceback
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme
from cryptography import x509

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client.async_driver import AsyncClient
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
    DatafoldTimeoutError,
    DatafoldUnreachableError,
)
from airflow_provider_datafold.redaction.secret import Secret, conceal
from dev.faults.behaviours import FOR_EVER, INTEGRATION, answer, answers, drips, head, is_huge, says
from dev.faults.server import Behaviour, Door, FaultServer, Then
from tests.certificates import tls
from tests.conftest import API_KEY, TOKEN
from tests.drivers import UPDATE
from tests.tunnel import Tunnel

BODY: dict[str, Any] = {"token": TOKEN, "bindings": [], "indexing_cron": None}
MOST = 10 << 20
"""Size of the largest response that is read."""

PATIENCE = 20.0
"""Seconds after which a test gives up a call that should have ended."""

Done = TypeVar("Done")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def run(work: Coroutine[Any, Any, Done]) -> Done:
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


async def update(client: AsyncClient, number: int = 7) -> Any:
    return await client.call(UPDATE, conceal(BODY), bi_datasource_id=number)


async def opened() -> AsyncClient:
    """Make a client for the default connection."""
    return AsyncClient(await fetch_settings_async("datafold_default"), "mine/1.0")


async def once() -> Any:
    async with await opened() as client:
        return await update(client)


def fails(kind: type[DatafoldError], said: str) -> DatafoldError:
    """Make a call that must fail, and check that its error contains no secret."""
    with pytest.raises(DatafoldError) as caught:
        run(once())
    assert type(caught.value) is kind
    assert said in str(caught.value)
    seen = str(caught.value) + repr(vars(caught.value))
    assert [secret for secret in (API_KEY, TOKEN) if secret in seen] == []
    return caught.value


# Requests.


def test_sends_what_it_is_told(serve: Any) -> None:
    server = serve(answers())
    assert run(once()) == INTEGRATION
    (request,) = server.requests
    assert (request.method, request.target) == ("PUT", "/api/v1/lineage/bi/hightouch/7/")
    assert json.loads(request.body) == BODY
    assert request.headers["authorization"] == f"Key {API_KEY}"
    assert request.headers["user-agent"] == "mine/1.0"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-type"] == "application/json"


def test_sends_no_body(serve: Any) -> None:
    async def get() -> Any:
        async with await opened() as client:
            return await client.call(bi.GET, bi_datasource_id=7)

    server = serve(answers())
    assert run(get()) == INTEGRATION
    assert "content-type" not in server.requests[0].headers
    assert server.requests[0].body == b""


def test_each_request_has_a_connection_of_its_own(serve: Any) -> None:
    async def calls() -> list[Any]:
        async with await opened() as client:
            return [await update(client, number) for number in (1, 2, 3)]

    server = serve(answers())
    assert run(calls()) == [INTEGRATION] * 3
    assert server.connections == 3
    assert {sent.headers["connection"] for sent in server.requests} == {"close"}


def test_is_tried_again(serve: Any) -> None:
    server = serve(says(), answers(), extra={"max_retries": 1})
    assert run(once()) == INTEGRATION
    assert len(server.requests) == 2


def test_other_tasks_go_on_meanwhile(serve: Any) -> None:
    async def calls() -> tuple[Any, Any]:
        async with await opened() as slow, await opened() as fast:
            waiting = asyncio.create_task(update(slow))
            while not server.requests:
                await asyncio.sleep(0.01)
            return await update(fast), waiting.cancel() and await gone(waiting)

    server = serve(says(FOR_EVER), answers())
    assert run(calls()) == (INTEGRATION, asyncio.CancelledError)


async def gone(task: asyncio.Task[Any]) -> type[BaseException]:
    try:
        await task
    except asyncio.CancelledError as error:
        return type(error)
    raise AssertionError("It ended by itself.")


def test_what_libraries_log_shows_no_secret(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    serve(answers(200, b"{}", {"Set-Cookie": "session=planted-cookie"}))
    asyncio.run(once(), debug=True)
    assert [secret for secret in (API_KEY, TOKEN, "planted-cookie") if secret in caplog.text] == []


# Limits.


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(says(FOR_EVER), id="silence"),
        pytest.param(drips(b"", answer()), id="headers"),
        pytest.param(drips(head(200, {"Content-Length": "50"}), b" " * 50), id="body"),
        pytest.param(drips(head(200), b" " * 50), id="body without a length"),
    ],
)
def test_time_is_for_the_whole_response(serve: Any, act: Behaviour) -> None:
    serve(act, extra={"timeout": 0.7})
    error = fails(DatafoldTimeoutError, "no complete response within 0.7 s")
    assert error.status_code is None


def test_dripping_refusal_is_still_a_refusal(serve: Any) -> None:
    serve(drips(head(401, {"Content-Length": "50"}), b" " * 50), extra={"timeout": 0.7})
    assert fails(DatafoldAuthenticationError, "401, ").status_code == 401


def test_broken_refusal_is_still_a_refusal(serve: Any) -> None:
    serve(says(head(403, {"Content-Length": "50"}) + b"{"))
    assert fails(DatafoldPermissionError, "403, ").status_code == 403


def test_huge_refusal_is_still_a_refusal(serve: Any) -> None:
    serve(is_huge(401, {"Content-Length": str(300 << 20)}))
    assert fails(DatafoldAuthenticationError, "401, ").status_code == 401


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(is_huge(200), id="without a length"),
        pytest.param(is_huge(200, {"Content-Length": str(300 << 20)}), id="with a length"),
        pytest.param(says(head(200, {"Content-Length": str(MOST + 1)}) + b"{}"), id="announced"),
    ],
)
def test_huge_response_is_not_read(serve: Any, act: Behaviour) -> None:
    serve(act, extra={"timeout": 60})
    assert fails(DatafoldAnswerError, "larger than 10 MiB and was not read").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(MOST)}])
def test_largest_response_is_read(serve: Any, headers: dict[str, str]) -> None:
    serve(says(head(200, headers) + b"{}".rjust(MOST)), extra={"timeout": 60})
    assert run(once()) == {}
    serve(says(head(200) + b"{}".rjust(MOST + 1)), extra={"timeout": 60})
    fails(DatafoldAnswerError, "larger than 10 MiB")


@pytest.mark.parametrize(("fields", "is_read"), [(98, True), (99, False)])
def test_header_of_many_fields(serve: Any, fields: int, is_read: bool) -> None:
    # 100 or 101, including Content-Type and Content-Length.
    serve(answers(200, b"{}", {f"X-{number}": "x" for number in range(fields)}))
    if is_read:
        assert run(once()) == {}
    else:
        fails(DatafoldConnectionError, "the connection broke")


# Faults.


@pytest.mark.parametrize(
    "act",
    [
        says(),
        says(Then.RESET),
        says(b"nonsense\r\n\r\n"),
        says(head(200, {"Content-Length": "50"}) + b"{"),
        says(head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\n{"),
    ],
)
def test_broken_connection(serve: Any, act: Behaviour) -> None:
    serve(act)
    assert fails(DatafoldConnectionError, "the connection broke").status_code is None


def test_refused(serve: Any) -> None:
    serve(door=Door.CLOSED)
    fails(DatafoldUnreachableError, "could not connect (refused)")


def test_no_room_for_a_connection(serve: Any) -> None:
    serve(door=Door.FULL, extra={"timeout": 0.5})
    fails(DatafoldUnreachableError, "could not connect (timed out)")


def test_no_such_host(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    extra = {"max_retries": 0, "timeout": 5}
    connect("datafold_default", host="https://datafold.test", password=API_KEY, extra=extra)
    fails(DatafoldUnreachableError, "there is no such host")


def test_impossible_address() -> None:
    async def get() -> Any:
        settings = Settings("mine", "https://datafold.test:port", Secret(API_KEY))
        return await AsyncClient(settings, "mine/1.0").call(bi.GET, bi_datasource_id=7)

    with pytest.raises(DatafoldConfigurationError, match="the address cannot be used"):
        run(get())


@pytest.mark.parametrize("act", [says(FOR_EVER), drips(head(200), b" " * 100)])
def test_cancelled_call_leaves_no_frame_that_shows_it(serve: Any, act: Behaviour) -> None:
    async def cancelled() -> BaseException:
        client = await opened()
        task = asyncio.create_task(update(client))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            assert await update(client) == INTEGRATION
            return error
        raise AssertionError("It ended by itself.")

    server = serve(act, answers())
    error: BaseException | None = run(cancelled())
    modules = set()
    # Before Python 3.11 each await of a task that was cancelled adds an error to the chain.
    while error is not None:
        assert sys.version_info < (3, 11) or error.__context__ is None
        for frame, _ in traceback.walk_tb(error.__traceback__):
            modules.add(frame.f_globals["__name__"].partition(".")[0])
            assert API_KEY not in repr(frame.f_locals)
        error = error.__context__
    assert modules <= {"tests", "airflow_provider_datafold"}


# Certificates.


def test_ca_file(serve: Any, authority: trustme.CA, bundle: str) -> None:
    server = serve(answers(), tls=tls(authority), extra={"ca_bundle": bundle})
    assert run(once()) == INTEGRATION
    assert server.requests[0].headers["authorization"] == f"Key {API_KEY}"


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
    assert run(once()) == INTEGRATION
    file.unlink()
    fails(DatafoldCertificateError, "the TLS certificate was refused")


def test_folder_without_the_ca(serve: Any, authority: trustme.CA, tmp_path: Path) -> None:
    server = serve(answers(), tls=tls(authority), extra={"ca_bundle": str(tmp_path)})
    fails(DatafoldCertificateError, "the TLS certificate was refused")
    assert server.requests == []


def test_environments_ca_file(
    serve: Any, authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    serve(answers(), tls=tls(authority))
    assert run(once()) == INTEGRATION


def test_no_verification(serve: Any, authority: trustme.CA) -> None:
    serve(answers(), tls=tls(authority, "another.test"), extra={"verify_ssl": False})
    assert run(once()) == INTEGRATION


def test_verification_is_the_default(serve: Any, authority: trustme.CA) -> None:
    # Also after another connection did without.
    serve(answers(), tls=tls(authority), extra={"verify_ssl": False})
    run(once())
    server = serve(answers(), tls=tls(authority))
    fails(DatafoldCertificateError, "the TLS certificate was refused")
    assert server.requests == []


def test_certificate_of_another_host(serve: Any, authority: trustme.CA, bundle: str) -> None:
    server = serve(answers(), tls=tls(authority, "another.test"), extra={"ca_bundle": bundle})
    fails(DatafoldCertificateError, "the TLS certificate was refused")
    assert server.requests == []


def test_no_tls(serve: Any, connect: Any) -> None:
    server = serve(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reads=False)
    host = f"https://127.0.0.1:{server.port}"
    connect("datafold_default", host=host, password=API_KEY, extra={"max_retries": 0})
    fails(DatafoldCertificateError, "begin the connection's host with http://")


def test_tls_that_breaks_off_is_a_broken_connection(serve: Any, connect: Any) -> None:
    server = serve(says(), reads=False)
    host = f"https://127.0.0.1:{server.port}"
    connect("datafold_default", host=host, password=API_KEY, extra={"max_retries": 0})
    fails(DatafoldConnectionError, "the connection broke")


def test_ca_file_that_is_not_there(serve: Any, authority: trustme.CA, tmp_path: Path) -> None:
    server = serve(answers(), tls=tls(authority), extra={"ca_bundle": str(tmp_path / "no.pem")})
    fails(DatafoldConfigurationError, "the CA bundle cannot be read")
    assert server.connections == 0


@pytest.mark.parametrize("size", [0, 300])
def test_ca_file_that_is_none(
    serve: Any, authority: trustme.CA, bundle: str, tmp_path: Path, size: int
) -> None:
    # Empty, or half-written.
    (tmp_path / "ca.pem").write_text(Path(bundle).read_text()[:size])
    serve(answers(), tls=tls(authority), extra={"ca_bundle": str(tmp_path / "ca.pem")})
    fails(DatafoldConfigurationError, "the CA bundle cannot be read")


# Without a library for SOCKS.


def test_socks_needs_a_library(serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    service = serve(answers())
    # All else works.
    assert run(once()) == INTEGRATION
    with Tunnel(service.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
        extra = {"max_retries": 0, "timeout": 5}
        connect("datafold_default", host="https://datafold.test", password=API_KEY, extra=extra)
        fails(DatafoldConfigurationError, "install requests[socks] and socksio")
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
