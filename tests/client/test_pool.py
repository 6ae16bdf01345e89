"""Connections that polls share: what is kept, what is believed, and when they are closed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import certifi
import pytest
import trustme

from airflow_provider_datafold.api import bi, ci, data_diffs, data_sources, monitors
from airflow_provider_datafold.client import channel, pool
from airflow_provider_datafold.client.async_driver import AsyncClient
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldCertificateError,
    DatafoldError,
    DatafoldRateLimitError,
    DatafoldServerError,
    DatafoldTimeoutError,
)
from airflow_provider_datafold.redaction.secret import Secret
from dev.faults.behaviours import FOR_EVER, LOGIN_PAGE, answer, head, is_huge, says
from dev.faults.server import Behaviour, Call as Asked, FaultServer, Step, Then
from tests.certificates import tls
from tests.drivers import settings_for
from tests.tunnel import Tunnel

FAR = 4e9
"""A time in a hundred years."""

PATIENCE = 20.0
"""Seconds after which a test gives up a call that should have ended."""

Done = TypeVar("Done")


def run(work: Coroutine[Any, Any, Done]) -> Done:
    return asyncio.run(asyncio.wait_for(work, PATIENCE))


def shows(number: int = 7, **more: Any) -> bytes:
    """A response that shows a data diff."""
    return answer(200, json.dumps({"id": number, "status": "processing", **more}).encode())


async def poll(client: AsyncClient, number: int = 7) -> Any:
    return await client.call(data_diffs.GET, datadiff_id=number)


async def polls(settings: Settings, times: int, number: int = 7) -> list[Any]:
    """Return what each of some polls in a row gave: the response's ``n``, or the error."""
    found: list[Any] = []
    async with AsyncClient(settings, "tests") as client:
        for _ in range(times):
            try:
                found.append((await poll(client, number))["n"])
            except DatafoldError as error:
                found.append(type(error))
    return found


class Service:
    """Shows data diffs, and knows which of its connections are open."""

    def __init__(self) -> None:
        self.open: set[int] = set()
        self.connections = 0
        self.is_asked = False
        self.may_respond = asyncio.Event()
        self.may_respond.set()

    async def __aenter__(self) -> Service:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        mine = self.connections
        self.open.add(mine)
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                number = re.search(rb"/datadiffs/(\d+)", asked)
                assert number is not None
                self.is_asked = not self.may_respond.is_set()
                await self.may_respond.wait()
                writer.write(shows(int(number[1]), n=mine))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.open.remove(mine)
            writer.close()


def client_of(service: Service) -> AsyncClient:
    return AsyncClient(settings_for(service.port), "tests")


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


# What is kept.


def test_polls_share_a_connection() -> None:
    with FaultServer([says(shows(n=1), Then.KEEP)]) as server:
        assert run(polls(settings_for(server.port), 5)) == [1] * 5
        assert (server.connections, len(server.requests)) == (1, 5)
    assert "connection" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("operation", "values", "response", "is_shared"),
    [
        (data_diffs.GET, {"datadiff_id": 7}, {"id": 7}, True),
        (monitors.GET_RUN, {"monitor_id": 7, "run_id": 8}, {"run_id": 8, "monitor_id": 7}, True),
        (data_sources.GET_TEST, {"job_id": "9"}, {"id": 9}, True),
        # What names nothing, or changes something.
        (bi.GET, {"bi_datasource_id": 7}, {"id": 7}, False),
        (data_diffs.CANCEL, {"datadiff_id": 7}, {"id": 7, "status": "cancelled"}, False),
        (ci.LIST_RUNS, {"ci_config_id": 7}, [], False),
    ],
)
def test_only_what_is_known_by_its_response_shares_a_connection(
    operation: Any, values: Any, response: Any, is_shared: bool
) -> None:
    async def calls(settings: Settings) -> None:
        async with AsyncClient(settings, "tests") as client:
            await poll(client)
            for _ in range(2):
                assert await client.call(operation, **values) == response
            await poll(client)

    other = answer(200, json.dumps(response).encode())
    behaviours = [says(sent, Then.KEEP) for sent in (shows(), other, other, shows())]
    with FaultServer(behaviours) as server:
        run(calls(settings_for(server.port)))
        assert server.connections == (1 if is_shared else 3)
    own = None if is_shared else "close"
    closes = [request.headers.get("connection") for request in server.requests]
    assert closes == [None, own, own, None]


def test_all_waits_share_and_take_what_was_given_back_last() -> None:
    async def calls() -> list[int]:
        async with Service() as service:
            settings = settings_for(service.port)
            async with AsyncClient(settings, "a") as one, AsyncClient(settings, "b") as other:
                service.may_respond.clear()
                at_once = [asyncio.create_task(poll(one, number)) for number in (1, 2, 3)]
                await until(lambda: service.connections == 3)
                service.may_respond.set()
                await asyncio.gather(*at_once)
                return [(await poll(client))["n"] for client in (one, other, one)]

    assert len(set(run(calls()))) == 1


def test_a_connection_through_a_proxy_is_kept(authority: trustme.CA, bundle: str) -> None:
    def by(scheme: str, port: int) -> Any:
        return {"verify": bundle, "proxy": Secret(f"{scheme}://127.0.0.1:{port}")}

    context = tls(authority, "datafold.test")
    with FaultServer([says(shows(n=1), Then.KEEP)], tls=context) as server:
        for scheme in ("http", "https", "socks5h"):
            with Tunnel(server.port, tls=tls(authority) if scheme == "https" else None) as proxy:
                settings = settings_for("https://datafold.test", **by(scheme, proxy.port))
                assert run(polls(settings, 3)) == [1] * 3
                assert len(proxy.asked) == 1
    with FaultServer([says(shows(n=1), Then.KEEP)]) as forwards:
        settings = settings_for("http://datafold.test", **by("http", forwards.port))
        assert run(polls(settings, 3)) == [1] * 3
        assert (forwards.connections, len(forwards.requests)) == (1, 3)


# What is believed.


class Chatter:
    """Sends more than was asked for, after each response.

    :param when: ``together`` with the response, ``apart`` from it, or ``later``.
    :param number: the id in what is sent unasked.
    """

    def __init__(self, when: str, number: int) -> None:
        self._when = when
        self._unasked = shows(number, n="unasked")
        self._responses = 0
        self.was_read = threading.Event()
        self.has_sent = threading.Event()

    def __call__(self, _: Asked) -> Iterator[Step]:
        self._responses += 1
        response = shows(n=self._responses)
        if self._when == "together":
            yield response + self._unasked
        else:
            yield response
            if self._when == "later":
                self.was_read.wait(PATIENCE)
            yield self._unasked
        self.has_sent.set()
        yield Then.KEEP


@pytest.mark.parametrize("number", [7, 8], ids=["the same job", "another job"])
@pytest.mark.parametrize("when", ["together", "apart", "later"])
@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
def test_bytes_after_a_response_are_not_the_next_one(
    is_tls: bool, when: str, number: int, authority: trustme.CA, bundle: str
) -> None:
    chatter = Chatter(when, number)

    async def calls(settings: Settings) -> list[Any]:
        found = []
        async with AsyncClient(settings, "tests") as client:
            for _ in range(3):
                found.append((await poll(client))["n"])
                chatter.was_read.set()
                await asyncio.to_thread(chatter.has_sent.wait, PATIENCE)
                chatter.was_read.clear()
                chatter.has_sent.clear()
        return found

    with FaultServer([chatter], tls=tls(authority) if is_tls else None) as server:
        url = f"{'https' if is_tls else 'http'}://127.0.0.1:{server.port}"
        assert run(calls(settings_for(url, verify=bundle))) == [1, 2, 3]


@pytest.mark.parametrize(
    "other",
    [
        shows(8, n="other"),
        shows(None, n="none"),  # type: ignore[arg-type]
        answer(200, b'{"id": true}'),
        answer(200, b"{}"),
        answer(200, b"[7]"),
        answer(200, b'{"id": 7'),
        answer(200, b"[" * 100_000),
        answer(200, LOGIN_PAGE),
        answer(200, shows(), {"Content-Encoding": "gzip"}),
        answer(401, b'{"id": 7}'),
        answer(404, b""),
        answer(500, b""),
    ],
)
def test_a_response_that_names_another_job_is_asked_for_again(other: bytes) -> None:
    behaviours = [shows(n=1), other, shows(n=2), shows(n=3)]
    with FaultServer([says(sent, Then.KEEP) for sent in behaviours]) as server:
        assert run(polls(settings_for(server.port), 3)) == [1, 2, 3]
        # The third poll uses what the second one opened.
        assert server.connections == 2


FAILS = DatafoldServerError


@pytest.mark.parametrize(
    ("refusal", "found", "connections", "requests"),
    [
        # What the new connection brings counts.
        (answer(500, b""), [1, FAILS, FAILS], 3, 4),
        # A service that asks to wait is not asked again at once.
        (answer(429, b""), [1, DatafoldRateLimitError, 2], 2, 3),
        (answer(503, b"", {"retry-after": "1"}), [1, FAILS, 2], 2, 3),
    ],
)
def test_a_refusal_on_a_kept_connection(
    refusal: bytes, found: list[Any], connections: int, requests: int
) -> None:
    behaviours = [shows(n=1), refusal, *([shows(n=2)] if found[-1] == 2 else [])]
    with FaultServer([says(sent, Then.KEEP) for sent in behaviours]) as server:
        assert run(polls(settings_for(server.port), 3)) == found
        assert (server.connections, len(server.requests)) == (connections, requests)


@pytest.mark.parametrize(
    "act",
    [
        says(),
        says(Then.RESET),
        says(shows()[:-4]),
        says(b"nonsense\r\n\r\n"),
        is_huge(200, {"Content-Length": str(300 << 20)}),
    ],
)
def test_a_kept_connection_that_died_is_not_noticed(act: Behaviour) -> None:
    behaviours = [says(shows(n=1), Then.KEEP), act, says(shows(n=2), Then.KEEP)]
    with FaultServer(behaviours) as server:
        assert run(polls(settings_for(server.port), 3)) == [1, 2, 2]
        assert server.connections == 2


def test_a_service_that_closes_gets_a_new_connection() -> None:
    with FaultServer([says(shows(n=1))]) as server:
        assert run(polls(settings_for(server.port), 3)) == [1, 1, 1]
        assert (server.connections, len(server.requests)) == (3, 3)


@pytest.mark.parametrize("steps", [[], [head(401, {"Content-Length": "50"})]])
def test_a_kept_connection_that_stalls_is_a_timeout(steps: list[Step]) -> None:
    behaviours = [says(shows(n=1), Then.KEEP), says(*steps, FOR_EVER), says(shows(n=2), Then.KEEP)]
    with FaultServer(behaviours) as server:
        found = run(polls(settings_for(server.port, timeout=0.7), 3))
        assert found == [1, DatafoldTimeoutError, 2]
        assert (server.connections, len(server.requests)) == (2, 3)


# When they are closed.


def test_what_a_cancelled_poll_used_is_closed() -> None:
    async def calls() -> None:
        async with Service() as service, client_of(service) as client:
            await poll(client)
            service.may_respond.clear()
            polling = asyncio.create_task(poll(client))
            await until(lambda: service.is_asked)
            polling.cancel()
            await asyncio.wait([polling])
            service.may_respond.set()
            await until(lambda: not service.open)
            assert (await poll(client))["n"] == 2

    run(calls())


def test_the_last_user_closes_them() -> None:
    async def calls() -> None:
        async with Service() as service:
            settings = settings_for(service.port)
            one, other = AsyncClient(settings, "a"), AsyncClient(settings, "b")
            async with one:
                async with other:
                    await poll(one)
                    await poll(other)
                assert (await poll(one))["n"] == 1
            await until(lambda: not service.open)
            # A call on its own keeps nothing.
            assert (await poll(one))["n"] == 2
            await until(lambda: not service.open)

    run(calls())


def test_what_is_not_used_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "IDLE", 0.2)

    async def calls() -> None:
        async with Service() as service, client_of(service) as client:
            service.may_respond.clear()
            at_once = [asyncio.create_task(poll(client)) for _ in range(2)]
            await until(lambda: service.connections == 2)
            service.may_respond.set()
            await asyncio.gather(*at_once)
            # One of them is used a while longer.
            await asyncio.sleep(0.1)
            await poll(client)
            await until(lambda: not service.open)

    run(calls())


def test_an_old_one_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "OLDEST", 0.0)
    with FaultServer([says(shows(n=1), Then.KEEP)]) as server:
        assert run(polls(settings_for(server.port), 3)) == [1, 1, 1]
        assert server.connections == 3


@pytest.mark.parametrize(
    ("change", "connections"),
    [
        # As two triggers read them.
        ({}, 1),
        ({"api_key": Secret("another key")}, 2),
        ({"proxy": "http://127.0.0.1:{port}"}, 2),
        ({"verify": False}, 2),
        ({"timeout": 5}, 2),
    ],
)
def test_only_equal_settings_share(change: dict[str, Any], connections: int) -> None:
    async def calls(settings: Settings, others: Settings) -> None:
        async with AsyncClient(settings, "a") as one, AsyncClient(others, "b") as other:
            for _ in range(2):
                await poll(one)
                await poll(other)

    with FaultServer([says(shows(), Then.KEEP)]) as server:
        if "proxy" in change:
            change = {"proxy": Secret(change["proxy"].format(port=server.port))}
        run(calls(settings_for(server.port), settings_for(server.port, **change)))
        assert server.connections == connections


def test_another_event_loop_has_others() -> None:
    with FaultServer([says(shows(n=1), Then.KEEP)]) as server:
        client = AsyncClient(settings_for(server.port), "tests")
        for _ in range(2):
            assert run(poll(client))["n"] == 1
        assert server.connections == 2


# Certificates that change.


@pytest.mark.parametrize("is_own", [False, True], ids=["the environment's", "a file of ours"])
def test_cas_that_were_replaced_are_read_again(
    is_own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, new = str(tmp_path / "ca.pem"), str(tmp_path / "new.pem")
    monkeypatch.setattr(certifi, "where", lambda: file)
    authorities = [trustme.CA(), trustme.CA()]
    acts = [says(shows(n=1), Then.KEEP)]
    refused = DatafoldCertificateError
    with (
        FaultServer(acts, tls=tls(authorities[0])) as one,
        FaultServer(acts, tls=tls(authorities[1])) as other,
    ):
        for authority, found in zip(authorities, ([1, refused], [refused, 1]), strict=True):
            authority.cert_pem.write_to_path(new)
            os.replace(new, file)
            for server, outcome in zip((one, other), found, strict=True):
                url, verify = f"https://127.0.0.1:{server.port}", file if is_own else True
                assert run(polls(settings_for(url, verify=verify), 1)) == [outcome]


def test_what_old_certificates_vouched_for_is_not_used_again(
    authority: trustme.CA, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))

    async def calls(settings: Settings) -> None:
        async with AsyncClient(settings, "tests") as client:
            await poll(client)
            await poll(client)
            os.utime(file, ns=(1, 1))
            # Opens a new one, and notices.
            await client.call(bi.GET, bi_datasource_id=7)
            await poll(client)

    with FaultServer([says(shows(), Then.KEEP)], tls=tls(authority)) as server:
        run(calls(settings_for(f"https://127.0.0.1:{server.port}", verify=str(file))))
        assert server.connections == 3


# Turns.


def test_what_can_wait_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand waits must not hold up the event loop, nor a cancel wait for them."""
    monkeypatch.setattr(pool, "MOST_AT_ONCE", 3)

    async def calls() -> None:
        async with Service() as service:
            settings = settings_for(service.port)
            service.may_respond.clear()
            async with (
                AsyncClient(settings, "a", waits_until=FAR) as patient,
                AsyncClient(settings, "b") as other,
            ):
                waiting = [asyncio.create_task(poll(patient, number)) for number in range(1, 11)]
                await until(lambda: service.connections == 3)
                urgent = asyncio.create_task(poll(other))
                await until(lambda: service.connections == 4)
                service.may_respond.set()
                await asyncio.gather(*waiting, urgent)
                assert service.connections == 4

    run(calls())


@pytest.mark.parametrize(
    ("waits_until", "timeout"),
    [
        pytest.param(0.0, 30.0, id="the job's deadline"),
        pytest.param(FAR, 0.5, id="the request's timeout"),
    ],
)
def test_a_turn_is_not_waited_for_longer_than(
    waits_until: float, timeout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_AT_ONCE", 1)

    async def calls() -> str:
        settings = settings_for(1, timeout=timeout)
        with pool.shared(settings) as busy:
            await busy._turns.acquire()
            client = AsyncClient(settings, "a", waits_until=waits_until)
            # Of another task, as another wait is.
            asked = asyncio.create_task(poll(client))
            with pytest.raises(DatafoldTimeoutError) as caught:
                await asked
        return caught.value.reason

    assert "nothing was sent, because 1 other requests to this host" in run(calls())
