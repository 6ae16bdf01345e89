"""Input from outside can neither forge a log line nor break the hook."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import pytest

from airflow_provider_datafold.api import bi, data_diffs, data_sources
from airflow_provider_datafold.api.operation import Effect, Operation
from airflow_provider_datafold.connection.fetch import fetch_settings, fetch_settings_async
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldConfigurationError,
    DatafoldError,
    DatafoldInputError,
    DatafoldValidationError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import INTEGRATION, answer, answers
from dev.faults.server import Behaviour, Call as Asked, FaultServer, Step, Then
from tests.conftest import API_KEY, TOKEN
from tests.drivers import CREATE, UPDATE, Call, both, call_async, call_sync

FORGED = "x\r\n2026-01-01 INFO forged\u2028\x85\x1b[31m"
HUGE = 10**5000
HUGE_TEXT = "1" * 5000
CONFIG: dict[str, Any] = {"token": TOKEN, "bindings": [], "indexing_cron": None}
ECHO = Operation(
    "POST",
    "/echo",
    Effect.STARTS,
    "thing",
    object,
    body=lambda body: body,
    carries_secrets=True,
)
"""Sends any body to an operation that carries secrets."""


@pytest.fixture
def serve(connect: Callable[..., None]) -> Iterable[Callable[[Behaviour], FaultServer]]:
    servers: list[FaultServer] = []

    def start(act: Behaviour, conn_id: str = "datafold_default", **extra: Any) -> FaultServer:
        server = FaultServer([act]).__enter__()
        servers.append(server)
        host = f"http://127.0.0.1:{server.port}"
        connect(conn_id, host=host, password=API_KEY, extra={"max_retries": 0, **extra})
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def plain(text: str) -> bool:
    """Whether a string has no character that could begin a line or control a terminal."""
    return text.isprintable()


# Log forging


@pytest.mark.parametrize("fetch", [fetch_settings, lambda name: asyncio.run(async_(name))])
def test_name_of_a_missing_connection_is_shown_by_repr(fetch: Any) -> None:
    with pytest.raises(DatafoldConfigurationError, match="There is no") as caught:
        fetch(FORGED)
    assert plain(str(caught.value))
    assert repr(FORGED) in str(caught.value)


async def async_(conn_id: str) -> Any:
    return await fetch_settings_async(conn_id)


@pytest.mark.parametrize("fetch", [fetch_settings, lambda name: asyncio.run(async_(name))])
def test_name_of_an_unreadable_connection_is_shown_by_repr(
    fetch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{FORGED.upper()}", "{")
    with pytest.raises(DatafoldConfigurationError) as caught:
        fetch(FORGED)
    assert plain(str(caught.value))


@both
@pytest.mark.parametrize("status", [200, 302, 401, 404, 422, 503])
def test_name_of_a_connection_is_logged_by_repr(
    call: Call, status: int, serve: Any, log: Any
) -> None:
    serve(answers(status), FORGED, **{FORGED: 1}, max_retries=1, verify_ssl=False)
    message = ""
    try:
        call(UPDATE, CONFIG, conn_id=FORGED, bi_datasource_id=7)
    except DatafoldError as error:
        message = str(error)
    assert (message == "") == (status == 200)
    assert len(log()) >= (2 if call is call_sync else status == 503)
    assert [text for text in [message, *log()] if not plain(text)] == []


@pytest.fixture
def log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """What this package logged."""
    # Where Airflow sends a hook's messages differs between its versions.
    hook_log = logging.getLogger("airflow_provider_datafold.hook")
    monkeypatch.setattr(DatafoldHook, "log", hook_log)
    caplog.set_level(logging.DEBUG)
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("airflow_provider_datafold")
    ]


@pytest.mark.parametrize("call", ["update", "sync", "unchanged"])
def test_what_the_hook_logs_is_on_one_line(call: str, serve: Any, log: Any) -> None:
    serve(answers(200, json.dumps({**INTEGRATION, "indexing_cron": FORGED}).encode()), FORGED)
    with DatafoldHook(FORGED) as hook:
        if call == "sync":
            hook.sync_integration(" 7\n\r\u2028")
        else:
            hook.update_integration(
                "dbt",
                "7\n",
                {"ci_config_id": "4\n", "indexing_cron": "0 6\n* *\r*", "name": FORGED},
                only_if_changed=call == "unchanged",
            )
    assert len(log()) >= 1
    assert [message for message in log() if not plain(message)] == []


@both
@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (422, {"detail": [{"loc": ["body", FORGED], "msg": FORGED}]}, {}),
        (422, {"detail": FORGED}, {}),
        (404, {"detail": FORGED}, {}),
        (200, FORGED, {"Content-Type": "text/\x1b[31m"}),
        (200, {FORGED: [2**70]}, {}),
        (200, {}, {"Content-Encoding": "x\x1b[31m"}),
        (302, {}, {"Location": "https://\x1b[31m.example/"}),
    ],
)
def test_what_the_service_says_is_shown_on_one_line(
    call: Call, status: int, body: Any, headers: dict[str, str], serve: Any
) -> None:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    serve(answers(status, content, headers))
    with pytest.raises(DatafoldError) as caught:
        call(UPDATE, CONFIG, bi_datasource_id=7)
    assert plain(str(caught.value))
    assert all(plain(part) for pair in caught.value.errors for part in pair)


# Secrets that are not strings


def echoes_everything(asked: Asked) -> Iterable[Step]:
    assert asked.request is not None
    sent = json.loads(asked.request.body)
    echo = {**sent, "again": list(sent.values()), "text": json.dumps(sent)}
    return [answer(200, json.dumps(echo).encode()), Then.KEEP]


NOT_TEXT: dict[str, Any] = {
    "token": 73519284,
    "password": ["planted-a", ["planted-b", 555123.25], None],
    "secret": {"inner": {"deep": "planted-c"}, "number": -998877},
    "client_secret": True,
    "http_password": None,
}


@both
def test_secret_that_is_not_text_is_redacted(call: Call, serve: Any) -> None:
    serve(echoes_everything)
    found = call(ECHO, {**NOT_TEXT, "id": 7})
    assert {name: found[name] for name in NOT_TEXT} == {
        **dict.fromkeys(NOT_TEXT, "***"),
        "http_password": None,
    }
    assert found["id"] == 7
    shown = json.dumps(found)
    for planted in ("planted", "73519284", "555123", "998877"):
        assert planted not in shown


@both
def test_object_in_a_message_of_a_422_is_not_shown(call: Call, serve: Any) -> None:
    detail = [
        {"loc": ["body", "token"], "msg": {"token": "planted-a", "echo": [TOKEN]}},
        {"loc": ["body", {"token": "planted-b"}], "msg": ["planted-c"]},
        {"loc": {"token": "planted-d"}, "msg": "planted-e"},
    ]
    serve(answers(422, json.dumps({"detail": detail}).encode()))
    with pytest.raises(DatafoldValidationError) as caught:
        call(UPDATE, CONFIG, bi_datasource_id=7)
    assert caught.value.errors == (("body.token", "is wrong"), ("body", "is wrong"))
    assert "planted" not in str(caught.value)


@both
@pytest.mark.parametrize(
    "token",
    [73519284, ["planted"], {"planted": 1}, True, b"planted", HUGE],
    ids=["number", "list", "object", "boolean", "bytes", "huge"],
)
def test_secret_of_a_wrong_type_is_refused_unseen(call: Call, token: Any, serve: Any) -> None:
    server = serve(answers())
    with pytest.raises(DatafoldInputError, match="token: must be a non-empty string") as caught:
        call(UPDATE, {**CONFIG, "token": token}, bi_datasource_id=7)
    assert "planted" not in str(caught.value)
    assert "73519284" not in str(caught.value)
    assert server.requests == []


# Hosts


HOSTS = [
    "https:/eu.datafold.com",
    "https:eu.datafold.com",
    "https:///eu.datafold.com",
    "https://https://eu.datafold.com",
    "http://https:/eu.datafold.com",
    "eu.datafold.com[::1]",
    "https://eu.datafold.com[::1]",
    "https://[::1]eu.datafold.com",
    "https://eu.datafold.com:0",
    "https://eu.datafold.com:99999",
    "https://eu.datafold.com:",
    "https://eu.datafold.com:x",
    "https://eu.datafold.com/../x",
    "https://eu.datafold.com/a/..",
    "https://eu.datafold.com/a/./b",
    "https://eu.datafold.com/a//b",
    "https://eu.datafold.com/?a",
    "https://eu.datafold.com/#a",
    "https://user@eu.datafold.com",
    "https://eu.datafold.com@evil.test",
    "https://eu.datafold.com\\@evil.test",
    "https://eu.data\tfold.com",
    "https://eu.data\r\nfold.com",
    "ftp://eu.datafold.com",
    "://eu.datafold.com",
    "https://",
]


@pytest.mark.parametrize("fetch", [fetch_settings, lambda name: asyncio.run(async_(name))])
@pytest.mark.parametrize("host", HOSTS)
def test_host_that_a_client_would_correct_is_refused(fetch: Any, host: str, connect: Any) -> None:
    connect("datafold_default", host=host, password=API_KEY)
    with pytest.raises(DatafoldConfigurationError, match="Nothing was sent") as caught:
        fetch("datafold_default")
    assert plain(str(caught.value))


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_port_that_is_none_is_refused(port: int, connect: Any) -> None:
    connect("datafold_default", host="eu.datafold.com", port=port, password=API_KEY)
    with pytest.raises(DatafoldConfigurationError, match="port"):
        fetch_settings("datafold_default")


# Integers of more digits than Python writes


INTEGERS = [HUGE, -HUGE, HUGE_TEXT, f"-{HUGE_TEXT}", [HUGE], f"[{HUGE_TEXT}]"]


@both
@pytest.mark.parametrize("value", INTEGERS, ids=[f"value{n}" for n, _ in enumerate(INTEGERS)])
def test_huge_integer_is_refused(call: Call, value: Any, serve: Any) -> None:
    server = serve(answers())
    binding = {"remoteId": "1", "boundIds": [value]}
    calls: list[tuple[Any, ...]] = [
        (UPDATE, CONFIG, {"bi_datasource_id": value}),
        (CREATE, {**CONFIG, "bindings": value}, {}),
        (CREATE, {**CONFIG, "bindings": [binding]}, {}),
        (CREATE, {**CONFIG, "bindings": [{**binding, "remoteId": value, value: 1}]}, {})
        if isinstance(value, int)
        else (CREATE, {**CONFIG, "bindings": {"a": value}}, {}),
        (CREATE, {**CONFIG, "indexing_cron": value}, {}),
        (bi.CREATE["dbt"], {"ci_config_id": value}, {}),
        (bi.CREATE["dbt"], value, {}),
        (data_diffs.LIST, None, {"page": value}),
        (data_diffs.LIST, None, {"accessible_only": value}),
        (data_diffs.GET, None, {"datadiff_id": value}),
        (data_diffs.CREATE, {"data_source1_id": value, "data_source2_id": 1}, {}),
        (data_diffs.CREATE, value, {}),
        (data_sources.CREATE, {"name": "a", "type": "pg", "options": {"port": value}}, {}),
        (data_sources.CREATE, {"name": "a", "type": value, "options": {}}, {}),
    ]
    for operation, body, values in calls:
        with pytest.raises(DatafoldInputError, match="Nothing was sent"):
            call(operation, *([] if body is None else [body]), **values)
    assert server.requests == []


@both
def test_huge_integer_in_a_free_body_is_refused(call: Call, serve: Any) -> None:
    server = serve(answers())
    for body in ({"a": HUGE}, {"token": HUGE}, [HUGE], HUGE):
        with pytest.raises(DatafoldInputError, match="Nothing was sent"):
            call(ECHO, body)
    assert server.requests == []


@both
def test_huge_integer_in_a_response_is_refused(call: Call, serve: Any) -> None:
    serve(answers(200, f'{{"id": {HUGE_TEXT}}}'.encode()))
    with pytest.raises(DatafoldAnswerError):
        call(bi.GET, bi_datasource_id=7)


# Extras that cannot be read


DEEP = "[" * 3000 + "]" * 3000
fetchers = pytest.mark.parametrize("call", [call_sync, call_async], ids=["sync", "async"])


@fetchers
@pytest.mark.parametrize("value", [DEEP, HUGE_TEXT, f"[{HUGE_TEXT}]"], ids=["deep", "huge", "list"])
@pytest.mark.parametrize("is_text", [False, True], ids=["object", "text"])
def test_extra_that_cannot_be_read_is_named(
    call: Call, value: str, is_text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = f'{{"timeout": {value}}}'
    connection = json.dumps({"conn_type": "datafold", "password": API_KEY, "extra": 0})
    written = json.dumps(extra) if is_text else extra
    monkeypatch.setenv(
        "AIRFLOW_CONN_DATAFOLD_DEFAULT", connection.replace('"extra": 0', f'"extra": {written}')
    )
    with pytest.raises(DatafoldConfigurationError) as caught:
        call(bi.LIST)
    assert "There is no" not in str(caught.value)
    assert (
        "'AIRFLOW_CONN_DATAFOLD_DEFAULT' is set, but Airflow cannot read" in str(caught.value)
        or "field 'extra' must be a JSON object" in str(caught.value)
        or "field 'timeout' must be a number of seconds" in str(caught.value)
    )


# Keys that are equal once they are redacted


@both
def test_key_that_redaction_makes_equal_is_kept(call: Call, serve: Any) -> None:
    content = {TOKEN: 1, "***": 2, API_KEY: 3, f"a {TOKEN}": 4, "a ***": 5, "*** (2)": 6}
    serve(answers(200, json.dumps(content).encode()))
    found = call(UPDATE, CONFIG, bi_datasource_id=7)
    assert sorted(found.values()) == [1, 2, 3, 4, 5, 6]
    assert TOKEN not in json.dumps(found)


class Name(str, Enum):
    """A string with another repr."""

    TABLE = "db.schema.table"


class Unshowable:
    def __repr__(self) -> str:
        raise TypeError("boom")


def test_what_a_text_is_counts_and_not_what_it_shows(serve: Any) -> None:
    server = serve(answers(200, b"[]"))
    DatafoldHook().list_table_upstreams(1, Name.TABLE)
    assert server.requests[0].target.endswith("/tables/db.schema.table/upstreams")


def test_secret_that_shows_itself_as_something_else_is_redacted(serve: Any) -> None:
    class Token(str, Enum):
        MINE = "planted-enum-token"

    serve(answers(200, b'{"x": "planted-enum-token"}'))
    assert DatafoldHook().run("PUT", "/a", {"token": Token.MINE}) == {"x": "***"}


def test_object_that_cannot_be_shown_is_refused(serve: Any) -> None:
    serve(answers(200))
    with pytest.raises(DatafoldInputError, match="must be a positive integer.*Unshowable"):
        DatafoldHook().get_data_diff(Unshowable())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host",
    [
        "https://eu.datafold.com/%2e%2e",
        "https://eu.datafold.com/a%2fb",
        "https://eu.datafold.com/ä",
        "https://fa\u00df.de",
        "https://a\u200db.com",
        "http://[::1%lo]",
    ],
)
def test_host_that_clients_write_in_their_own_way_is_refused(connect: Any, host: str) -> None:
    connect("datafold_default", host=host, password="planted-key")
    with pytest.raises(DatafoldConfigurationError, match="field 'host'"):
        DatafoldHook().get_data_diff(1)
