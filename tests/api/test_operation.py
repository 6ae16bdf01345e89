"""An operation of the API: its request, its declaration, and requests that none declares."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.api import data_diffs, explore
from airflow_provider_datafold.api.operation import Effect, Operation, free_request
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.secret import Secret
from tests.calls import ROWS, Row, declared, named, values_in

EFFECTS = {
    Effect.SETS: "cancel_data_diff delete_integration delete_monitor toggle_monitor "
    "update_data_diff update_integration update_monitor",
    Effect.STARTS: "create_data_diff create_data_source create_integration create_monitor "
    "query_data_source run_monitor sync_integration test_data_source trigger_ci upload_ci_changes",
}
MAY_BE_EMPTY = (
    "delete_integration delete_monitor sync_integration toggle_monitor update_data_diff "
    "update_monitor"
)
FINDABLE = "create_data_diff create_monitor run_monitor trigger_ci"
WITH_SECRETS = "create_data_source get_data_source list_data_sources"
CLASSIC = ("/api/v1/lineage/bi/", "/api/v1/ci/", "/api/v1/explore/")


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_declaration_says_what_the_contract_does_not(row: Row) -> None:
    found = declared(row)
    effects = [effect for effect, methods in EFFECTS.items() if row.method in methods.split()]
    assert [found.effect] == (effects or [Effect.READS])
    assert found.may_be_empty == (row.method in MAY_BE_EMPTY.split())
    assert found.is_findable == (row.method in FINDABLE.split())
    assert found.is_classic == found.path.startswith(CLASSIC)
    is_bi = found.path.startswith("/api/v1/lineage/bi/")
    assert found.carries_secrets == (is_bi or row.method in WITH_SECRETS.split())


@pytest.mark.parametrize("row", [row for row in ROWS if row.path], ids=named)
def test_an_id_in_a_path_is_checked(row: Row) -> None:
    values = values_in(row)
    for name in [name for name in values if not name.endswith("_path")]:
        with pytest.raises(DatafoldInputError, match=f"^{name}: must be a positive int.*/9'"):
            declared(row).request(**{**values, name: "7/../9"})


@pytest.mark.parametrize("text", [".", "..", "", None])
@pytest.mark.parametrize("operation", [explore.TABLE_UPSTREAMS, explore.COLUMN_DOWNSTREAMS])
def test_text_that_would_leave_its_place_is_refused(operation: Operation[Any], text: Any) -> None:
    name = "table_path" if "table_path" in operation.path else "column_path"
    with pytest.raises(DatafoldInputError, match=f"^{name}: must "):
        operation.request(data_connection_id=1, **{name: text})


WRONG: dict[str, dict[str, Any]] = {
    "list_data_diffs": {"accessible_only": "maybe"},
    "list_monitors": {"tags": ["a"]},
    "list_monitor_runs": {"start_time": "today", "end_time": "today"},
    "list_ci_runs": {"pr_sha": ["a"], "pr_num": ["a"], "limit": 0, "offset": -1},
    "list_table_upstreams": {},
    "list_table_downstreams": {},
    "list_column_upstreams": {"include_tabular_nodes": "maybe"},
    "list_column_downstreams": {"include_tabular_nodes": "maybe"},
}
OFTEN = {"order_by": "colour", "sort_order": "up", "page": 0, "page_size": 0, "max_depth": 100}


@pytest.mark.parametrize("row", [row for row in ROWS if row.query], ids=named)
def test_every_argument_of_a_query_is_checked(row: Row) -> None:
    for field in declared(row).query:
        wrong = {**OFTEN, **WRONG[row.method]}[field]
        with pytest.raises(DatafoldInputError, match=f"^{field}: must be"):
            declared(row).request(**{**values_in(row), field: wrong})


def test_path_and_query() -> None:
    assert data_diffs.GET.request(datadiff_id=" 7 ").path == "/api/v1/datadiffs/7"
    assert data_diffs.GET.request(datadiff_id=7).content is None
    path = data_diffs.LIST.request(page=2, accessible_only=True, sort_order=None).path
    assert path == "/api/v1/datadiffs?page=2&accessible_only=true"
    assert data_diffs.LIST.request(accessible_only="False").path.endswith("accessible_only=false")


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, "\ud800"])
def test_a_body_that_json_cannot_have_is_refused(value: Any) -> None:
    request = free_request("POST", "/x", {"a": value}, is_repeatable=None, may_be_empty=False)
    with pytest.raises(DatafoldInputError, match=r"^the body cannot be encoded as JSON: "):
        _ = request.content


# A request that no operation declares.


@pytest.mark.parametrize(
    ("method", "given", "effect"),
    [
        *((name, None, Effect.SETS) for name in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "get")),
        *((name, None, Effect.STARTS) for name in ("POST", "PATCH", "BREW")),
        ("POST", True, Effect.SETS),
        ("GET", False, Effect.STARTS),
    ],
)
def test_whether_a_request_may_be_sent_twice(method: str, given: Any, effect: Effect) -> None:
    body = {"token": Secret("abcdef")}
    request = free_request(method, "/a?b=1", body, is_repeatable=given, may_be_empty=True)

    assert (request.operation.method, request.path) == (method.upper(), "/a?b=1")
    assert request.operation.effect is effect
    assert request.operation.may_be_empty
    assert request.operation.carries_secrets
    assert [secret.reveal() for secret in request.secrets] == ["abcdef"]


def test_a_large_body_has_time_to_be_sent() -> None:
    request = free_request("POST", "/x", "x" * 2**20, is_repeatable=None, may_be_empty=False)
    assert request.seconds_to_send == pytest.approx(8, abs=0.01)
