"""Two apps, four hosts: the error if a host does not have an operation."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_datafold.client.async_driver import AsyncClient
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldNotFoundError,
    DatafoldUnreachableError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.redaction.secret import Secret
from dev.faults.server import Call, FaultServer
from tests.calls import ROWS, Row, declared, named
from tests.conftest import API_KEY

CURRENT = ("us.datafold.com", "eub.datafold.com")
CLASSIC = ("app.datafold.com", "eu.datafold.com")
SAYS_SO = "in Datafold Classic (app.datafold.com, eu.datafold.com). Use a connection to the app"
ONLY_CLASSIC = ("/api/v1/lineage/", "/api/v1/ci/", "/api/v1/explore/")
NOUNS = {
    "/api/v1/audit_logs": "audit log",
    "/api/v1/ci/": "CI configuration",
    "/api/v1/data_sources/test/": "test of a data source",
    "/api/v1/data_sources": "data source",
    "/api/v1/datadiffs": "data diff",
    "/api/v1/explore/db/{data_connection_id}/columns/": "data connection or column",
    "/api/v1/explore/db/{data_connection_id}/tables/": "data connection or table",
    "/api/v1/lineage/bi/": "integration",
    "/api/v1/monitors/{id}/runs/": "monitor run",
    "/api/v1/monitors": "monitor",
}


def is_classic(row: Row) -> bool:
    return row.asked.path.startswith(ONLY_CLASSIC)


def noun(row: Row) -> str:
    if (row.asked.method, row.asked.path) == ("POST", "/api/v1/datadiffs"):
        # Only the data sources of a new data diff can be missing.
        return "data source"
    return next(noun for path, noun in NOUNS.items() if row.asked.path.startswith(path))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Decide what names resolve to; nothing leaves the machine."""
    monkeypatch.setattr(socket, "getaddrinfo", _refuse)

    def decide(port: int) -> None:
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])

    return decide


def _refuse(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def not_found(resolve: Any, connect: Any) -> Iterator[Callable[..., int]]:
    """Let a host respond 404 to everything, and make a connection to it."""
    running: list[FaultServer] = []

    def start(host: str, content: bytes = b'{"detail":"Not Found"}') -> int:
        def act(call: Call) -> Iterator[bytes]:
            yield b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(content) + content

        running.append(FaultServer([act]).__enter__())
        resolve(running[-1].port)
        point_to(connect, host)
        return running[-1].port

    yield start
    for server in running:
        server.__exit__(None, None, None)


def point_to(connect: Any, host: str) -> None:
    extra = {"allow_http": True, "max_retries": 0}
    connect("datafold_default", host=f"http://{host}", password=API_KEY, extra=json.dumps(extra))


def message(row: Row, kind: type[DatafoldError]) -> str:
    with DatafoldHook() as hook, pytest.raises(kind) as caught:
        row.call(hook)
    return str(caught.value)


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_404_says_where_the_section_is(row: Row, not_found: Any) -> None:
    for host in (*CURRENT, *CLASSIC, "datafold.example.com", "us.datafold.com.example.com"):
        not_found(host)
        said = message(row, DatafoldNotFoundError)
        if is_classic(row) and host in CURRENT:
            assert f"404, {host} does not have this section: the {noun(row)}" in said
            assert said.count(SAYS_SO) == 1
            assert "there is no such" not in said
        else:
            assert "Classic" not in said
            assert f"404, there is no such {noun(row)}" in said
        assert said.endswith("Datafold says: 'Not Found'.")


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_name_that_does_not_resolve_says_where_the_section_is(
    row: Row, resolve: Any, connect: Any
) -> None:
    for host in (*CURRENT, *CLASSIC, "datafold.example.com"):
        point_to(connect, host)
        said = message(row, DatafoldUnreachableError)
        assert "there is no such host. Check the connection's host, then the network's DNS." in said
        if is_classic(row) and host in CURRENT:
            assert (
                f"If the host is correct: {host} does not have this section: the {noun(row)}"
                in said
            )
            assert said.count(SAYS_SO) == 1
        else:
            assert "Classic" not in said


@pytest.mark.parametrize("host", [*CURRENT, *CLASSIC])
def test_an_event_loop_is_told_the_same(host: str, not_found: Any) -> None:
    async def call(row: Row) -> Any:
        settings = Settings("c", f"http://{host}:{port}", Secret(API_KEY), max_retries=0)
        operation = declared(row)
        values = dict.fromkeys(_places(operation.path), 1)
        async with AsyncClient(settings, "tests") as client:
            return await client.call(operation, **values)

    port = not_found(host)
    for row in ROWS:
        if row.asked.method == "GET":
            with pytest.raises(DatafoldNotFoundError) as caught:
                asyncio.run(call(row))
            assert (SAYS_SO in str(caught.value)) == (is_classic(row) and host in CURRENT)


def _places(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


METHODS = ("get_data_diff", "get_monitor", "get_integration", "list_table_upstreams")
CUT = "x" * 200 + "..."
DETAILS = [
    ({"detail": "Data diff not found"}, " Datafold says: 'Data diff not found'."),
    ({"detail": f"no {API_KEY} here"}, " Datafold says: 'no *** here'."),
    ({"detail": "two\nlines\r\n\x1b[31m"}, " Datafold says: 'two?lines???[31m'."),
    ({"detail": "x" * 5000}, f" Datafold says: '{CUT}'."),
    ({"detail": "it's Ünïcödé"}, ' Datafold says: "it\'s Ünïcödé".'),
    ({"detail": ["planted"]}, None),
    ({"detail": {"msg": "planted"}}, None),
    ({"detail": None, "message": "planted"}, None),
    ({"message": "planted"}, None),
    (["planted"], None),
    ("planted", None),
    (7, None),
]


@pytest.mark.parametrize("host", [CURRENT[0], CLASSIC[0]])
@pytest.mark.parametrize(("body", "said"), DETAILS, ids=lambda value: str(value)[:30])
def test_what_the_service_says_is_kept_and_made_fit_for_a_log(
    body: Any, said: str | None, host: str, not_found: Any
) -> None:
    not_found(host, json.dumps(body).encode())
    rows = {row.method: row for row in ROWS}
    for method in METHODS:
        found = message(rows[method], DatafoldNotFoundError)
        assert found.endswith(said or "")
        assert ("Datafold says" in found) == (said is not None)
        assert "planted" not in found
        assert "\n" not in found


@pytest.mark.parametrize("content", [b"<html>planted</html>", b"", b"\xff\xfe", b'{"detail": '])
def test_a_body_that_is_no_json_is_not_shown(content: bytes, not_found: Any) -> None:
    not_found(CLASSIC[0], content)
    found = message(next(row for row in ROWS if row.method == "get_monitor"), DatafoldNotFoundError)

    assert found.endswith(
        "404, there is no such monitor, or no Datafold API at this host. Check the "
        "id, and the connection's host."
    )
