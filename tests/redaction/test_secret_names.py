"""Secrets under every name that the contract calls write-only stay out of sight."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from airflow_provider_datafold.api import bi, ci, data_diffs, data_sources
from airflow_provider_datafold.api.operation import Effect, Operation
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.redaction.secret import WRITE_ONLY
from dev.faults.behaviours import answer, answers
from dev.faults.server import Call as Asked, Step, Then
from tests.conftest import API_KEY
from tests.drivers import Call, both, call_sync

ALL = Operation(
    "POST", "/all", Effect.STARTS, "thing", object, body=lambda body: body, carries_secrets=True
)
"""Sends any body to an operation that carries secrets."""


def planted(name: str) -> str:
    return f"planted-{name}-c5"


SECRETS = [API_KEY, *map(planted, sorted(WRITE_ONLY))]
ALL_NAMES = {name: planted(name) for name in WRITE_ONLY}
OPTIONS = {"host": "h", "port": 1, "dbname": "d", "user": "u", "password": planted("password")}
CALLS: dict[str, tuple[Any, Any]] = {
    "integration": (
        bi.CREATE["hightouch"],
        {"token": planted("token"), "bindings": [], "indexing_cron": None},
    ),
    "data source": (data_sources.CREATE, {"name": "a", "type": "pg", "options": OPTIONS}),
    "all names": (ALL, {**ALL_NAMES, "a": [{"b": ALL_NAMES}]}),
}


def echoes(status: int) -> Callable[[Asked], Iterable[Step]]:
    """Return everything that arrived, under its own and other names, in body and headers."""

    def act(asked: Asked) -> Iterable[Step]:
        assert asked.request is not None
        text = asked.request.text
        sent = json.loads(asked.request.body)
        detail: Any = [{"loc": ["body", text], "msg": text, "input": sent}]
        echo = {**sent, "id": 7, "text": text, "again": sent, "headers": asked.request.headers}
        headers = {
            "Location": f"https://{API_KEY}.test/{API_KEY}",
            "X-Echo": text,
            "Content-Type": API_KEY,
        }
        content = {**echo, "detail": detail if status == 422 else text}
        return [answer(status, json.dumps(content).encode(), headers), Then.KEEP]

    return act


@pytest.fixture
def seen(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[], str]]:
    """Everything that was written and logged since the last call, at any level."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "asyncio"):
        caplog.set_level(logging.DEBUG, name)

    def read() -> str:
        captured = capfd.readouterr()
        records = [f"{record.getMessage()} {record.args!r}" for record in caplog.records]
        caplog.clear()
        return "\n".join([captured.out, captured.err, *records])

    yield read
    root.setLevel(level)


def found_in(*texts: str) -> list[str]:
    return [secret for secret in SECRETS if any(secret in text for text in texts)]


@both
@pytest.mark.parametrize("status", [200, 302, 422, 429])
@pytest.mark.parametrize("name", CALLS)
def test_nothing_shows_a_secret(
    call: Call, status: int, name: str, serve: Any, seen: Callable[[], str]
) -> None:
    operation, body = CALLS[name]
    seen()
    server = serve(echoes(status), extra={"max_retries": 1})
    texts = []
    try:
        result = call(operation, body)
        texts.append(json.dumps(result))
    except DatafoldError as error:
        texts += [str(error), repr(error), repr(vars(error))]
    assert (status == 200) == texts[0].startswith("{")
    # They arrived, so they were sent back.
    arrived = server.requests[0].text
    assert API_KEY in arrived
    assert {secret for secret in SECRETS if secret in json.dumps(body)} <= set(found_in(arrived))
    log = seen()
    assert len(log) > 0
    assert found_in(log, *texts) == []


# Names mean something in a configuration, and nothing in a user's own data.
ROWS = {
    "rows": [dict.fromkeys(sorted(WRITE_ONLY), 12345678), {"token": "a value of the user's"}],
    "columns": [{"name": name} for name in sorted(WRITE_ONLY)],
}
QUERY = (data_sources.QUERY, [{"query": "select token from accounts"}], {"data_source_id": 7})


@pytest.mark.parametrize(
    ("asked", "content", "returned"),
    [
        # Secrets that the service alone knows, columns of a query, and the API key in one.
        (
            (data_sources.GET, [], {"data_source_id": 7}),
            {"options": {**ALL_NAMES, "name": "a", "port": 5432}},
            {"options": {**dict.fromkeys(WRITE_ONLY, "***"), "name": "a", "port": 5432}},
        ),
        (QUERY, ROWS, ROWS),
        (QUERY, {"rows": [{"token": API_KEY}]}, {"rows": [{"token": "***"}]}),
    ],
)
def test_what_is_redacted_by_its_name(asked: Any, content: Any, returned: Any, serve: Any) -> None:
    operation, body, values = asked
    serve(answers(200, json.dumps(content).encode()))
    assert call_sync(operation, *body, **values) == returned


@pytest.mark.parametrize("status", [200, 422, 503])
def test_share_token_is_in_no_log(status: int, serve: Any, seen: Callable[[], str]) -> None:
    token = "planted-share-token"
    content = {"id": 7, "share_token": token, "share_url": f"https://a.test/{token}"}
    seen()
    serve(answers(status, json.dumps(content).encode()), extra={"max_retries": 1})
    said = ""
    try:
        assert call_sync(data_diffs.GET, datadiff_id=7) == content
    except DatafoldError as error:
        said = str(error)
    assert token not in said + seen()


@both
def test_a_secret_in_a_query_is_not_logged_by_the_library(
    call: Call, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(answers(200, b"[]"))
    call(ci.LIST_RUNS, ci_config_id=1, pr_sha="planted+secret/in=a query")
    assert server.requests
    assert "planted" not in caplog.text.replace(API_KEY, "")
