"""The hook's addresses, and what it sends for data diffs and monitors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from airflow_provider_datafold.client import retry
from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldInputError,
)
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import answers
from tests.conftest import API_KEY

IDS = {"datadiff_id": 3}
READ, CANCEL = "GET /datadiffs/3", "POST /datadiffs/3/cancel"


@pytest.fixture
def hook(connections: None) -> DatafoldHook:
    return DatafoldHook()


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://acme.io:8443/", "https://acme.io:8443"),
        ("acme.io", "https://acme.io"),
        (None, "https://app.datafold.com"),
    ],
)
def test_its_addresses(connect: Any, given: str | None, base: str) -> None:
    connect("acme", host=given, password=API_KEY)
    hook = DatafoldHook("acme")
    assert hook.data_diff_url(7) == f"{base}/datadiffs/7/overview"
    assert hook.integrations_url == f"{base}/settings/integrations"


# What is sent for data diffs and monitors; tests/api/test_operations.py has all operations.


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({"archived": True}, b'{"archived": true}'),
        ({"purged": "false"}, b'{"purged": false}'),
        ({"archived": False, "purged": True}, b'{"archived": false, "purged": true}'),
        ({}, b"{}"),
    ],
    ids=repr,
)
def test_an_update_sends_what_is_given(
    hook: DatafoldHook, sandbox: Any, changes: Mapping[str, Any], body: bytes
) -> None:
    hook.update_data_diff(1, **changes)
    (request,) = sandbox.state.requests
    assert request.body == body


SPEC = {
    "name": "Orders",
    "schedule": {"type": "none"},
    "connection_id": 1,
    "table": "DB.PUBLIC.ORDERS",
}
DIFF = {"data_source1_id": 1, "data_source2_id": 1, "pk_columns": ["id"], "table1": ["A"]}
CALLS: dict[str, tuple[tuple[Any, ...], str, int]] = {
    # The arguments, what a 404 is about, and how often it is sent if the response is 503: what
    # starts something may have started it, and is looked for first.
    "list_data_diffs": ((), "data diff", 2),
    "create_data_diff": (({**DIFF, "table2": ["B"]},), "data source", 1),
    "get_data_diff": ((7,), "data diff", 2),
    "update_data_diff": ((7,), "data diff", 2),
    "cancel_data_diff": ((7,), "data diff", 2),
    "get_data_diff_summary": ((7,), "data diff", 2),
    "get_data_diff_summary_results": ((7,), "data diff", 2),
    "list_monitors": ((), "monitor", 2),
    "get_monitor": ((7,), "monitor", 2),
    "create_monitor": (("schema", SPEC), "monitor", 1),
    "update_monitor": (("schema", 7, {"name": "Orders"}), "monitor", 2),
    "delete_monitor": ((7,), "monitor", 2),
    "run_monitor": ((7,), "monitor", 1),
    "list_monitor_runs": ((7,), "monitor", 2),
    "get_monitor_run": ((7, 8), "monitor run", 2),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [404, 503])
def test_what_each_call_is_about_and_how_often_it_is_sent(
    serve: Any, monkeypatch: pytest.MonkeyPatch, call: str, status: int
) -> None:
    arguments, noun, count = CALLS[call]
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.0)
    server = serve(answers(status, b"{}"), extra={"max_retries": 1})
    with DatafoldHook() as hook, pytest.raises(DatafoldError) as caught:
        getattr(hook, call)(*arguments)
    if status == 404:
        assert f"there is no such {noun}, " in str(caught.value)
    assert len(server.requests) == (count if status == 503 else 1)


@pytest.mark.parametrize(
    ("call", "field", "wrong"),
    [
        *(
            (call, field, 0)
            for call in ("list_data_diffs", "list_monitors", "list_monitor_runs")
            for field in ("page", "page_size")
        ),
        *((call, "sort_order", "up") for call in ("list_data_diffs", "list_monitors")),
        *((call, "order_by", "colour") for call in ("list_data_diffs", "list_monitors")),
        ("list_data_diffs", "accessible_only", "maybe"),
        ("list_monitors", "tags", ["a"]),
        ("list_monitor_runs", "start_time", "today"),
        ("list_monitor_runs", "end_time", "today"),
    ],
)
def test_a_wrong_argument_of_a_list_is_named(
    hook: DatafoldHook, sandbox: Any, call: str, field: str, wrong: Any
) -> None:
    with pytest.raises(DatafoldInputError, match=f"^{field}: "):
        getattr(hook, call)(*CALLS[call][0], **{field: wrong})
    assert sandbox.state.requests == []


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_list_may_be_in_either_order(hook: DatafoldHook, sandbox: Any, order: str) -> None:
    for call, name in (("list_data_diffs", "results"), ("list_monitors", "monitors")):
        ids = [each["id"] for each in getattr(hook, call)(sort_order=order, order_by="id")[name]]
        assert len(ids) > 1
        assert ids == sorted(ids, reverse=order == "desc")


@pytest.mark.parametrize("call", ["create_monitor", "update_monitor"])
def test_a_kind_that_is_unknown_is_named(hook: DatafoldHook, sandbox: Any, call: str) -> None:
    for kind in ("table", API_KEY):
        given: Any = (kind, {}) if call == "create_monitor" else (kind, 4, {})
        with pytest.raises(DatafoldInputError, match="^kind: ") as caught:
            getattr(hook, call)(*given)
        assert API_KEY not in str(caught.value)
    with pytest.raises(DatafoldInputError, match="^spec: has no field 'colour'"):
        hook.update_monitor("test", 4, {"colour": "red"})
    with pytest.raises(DatafoldInputError, match="^spec: "):
        hook.update_monitor("test", 4, [API_KEY])  # type: ignore[arg-type]
    assert sandbox.state.requests == []
