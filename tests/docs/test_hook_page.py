"""docs/hook.md: its snippets run, and its tables say what the hook's methods do."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox import contract
from dev.sandbox.journal import Change
from tests import documents
from tests.calls import ROWS as CALLS, declarations, name_of
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "hook.md"
ROWS = [row for row in documents.rows(PAGE.read_text()) if row[0].startswith("`")]
OPERATIONS = [(cells[0].strip("`"), cells[1].strip("`"), cells[2]) for cells in ROWS if cells[3:]]
"""Method, operation and effect, as the page has them."""

PASSWORD = "planted-warehouse-password-5d2c"

REQUESTS = {
    "The hook": ["GET /api/v1/data_sources"],
    "Data diffs": ["POST /api/v1/datadiffs", *["GET /api/v1/datadiffs/3"] * 3],
    "Monitors": ["POST /api/v1/monitors/create/metric", "PUT /api/v1/monitors/5/toggle"],
    "Data sources": [
        "POST /api/v1/data_sources/1/query",
        "POST /api/v1/data_sources/1/guess_pk",
        "POST /api/v1/data_sources",
        "POST /api/v1/data_sources/3/test",
        "GET /api/v1/data_sources/test/1",
    ],
    "Explore": ["GET /api/v1/explore/db/1/tables/DB.%22www.my%20site%22.T/downstreams"],
}
"""What the snippets below a heading send."""


def snippets() -> dict[str, list[str]]:
    """The page's snippets by their heading."""
    parts = re.split(r"^##? (.*)\n", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = {
        title: documents.blocks_in(text, "python")
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }
    return {title: blocks for title, blocks in found.items() if blocks}


@pytest.fixture
def ready(connections: None, connect: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A sandbox in which something happened yesterday, and no time passes between two reads."""
    connect(
        "warehouse_default",
        conn_type="postgres",
        host="warehouse.example.com",
        port=5432,
        login="datafold",
        password=PASSWORD,
        schema="orders",
    )
    # The day may change while the tests run.
    moment = (datetime.now(timezone.utc) - timedelta(days=1)).isoformat()
    sandbox.state.changes += [
        Change("monitors", "toggle", 1, "PUT", "/api/v1/monitors/1/toggle", timestamp=moment),
        Change("monitors", "delete", 1, "DELETE", "/api/v1/monitors/1"),
    ]
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return sandbox


def run(title: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for source in snippets()[title]:
        exec(source, names)
    return names


@pytest.mark.parametrize("title", snippets())
def test_snippets_run(title: str, ready: Any) -> None:
    run(title)

    sent = [f"{request.method} {request.path}" for request in ready.state.requests]
    assert sent == REQUESTS[title]
    assert {request.status for request in ready.state.requests} == {200}


def test_a_data_source_has_the_password_of_the_connection(ready: Any) -> None:
    source = run("Data sources")["source"]
    body = json.loads(ready.state.requests[2].body)
    assert body["options"]["password"] == PASSWORD
    assert PASSWORD not in json.dumps(source)


def test_every_public_name_of_the_hook_is_in_a_table() -> None:
    ours = {
        name
        for base in DatafoldHook.__mro__
        if base.__module__.startswith("airflow_provider_datafold.")
        for name, value in vars(base).items()
        if callable(value) or isinstance(value, (property, classmethod))
        if not name.startswith("_")
    }
    named = {name for cells in ROWS for name in re.findall(r"`(\w+)`", cells[0])}
    assert named == ours


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row.operation)
def test_a_row_says_what_the_method_calls(row: Any) -> None:
    found = [each for each in OPERATIONS if each[0] == row.method]
    ((_, operation, effect),) = found
    pattern = re.sub(r"\\{\w+\\}", "{id}", re.escape(operation).replace(r"\{kind\}", "[a-z]+"))
    name = name_of(row.asked)
    assert re.fullmatch(pattern, name)
    assert declarations()[name].effect.name == effect


def test_every_operation_is_in_a_table() -> None:
    contracted = {name_of(each) for each in contract.operations(contract.load())}
    assert {name for name, each in declarations().items() if not each.seen_in} == contracted
    assert {name_of(row.asked) for row in CALLS} == contracted
    assert len(contracted) == 51
