"""The parts of the operations' declarations that are not in the contract, from docs/hook.md."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.api.bi import UPDATE
from airflow_provider_datafold.api.operation import Effect
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from tests.calls import ROWS, Row, declared, named

EFFECTS = {
    Effect.SETS: {
        "cancel_data_diff",
        "delete_integration",
        "delete_monitor",
        "toggle_monitor",
        "update_data_diff",
        "update_integration",
        "update_monitor",
    },
    Effect.STARTS: {
        "create_data_diff",
        "create_data_source",
        "create_integration",
        "create_monitor",
        "query_data_source",
        "run_monitor",
        "sync_integration",
        "test_data_source",
        "trigger_ci",
        "upload_ci_changes",
    },
}
MAY_BE_EMPTY = {
    "delete_integration",
    "delete_monitor",
    "sync_integration",
    "toggle_monitor",
    "update_data_diff",
    "update_monitor",
}
CLASSIC = ("/api/v1/lineage/bi/", "/api/v1/ci/", "/api/v1/explore/")
WITH_SECRETS = {"create_data_source", "get_data_source", "list_data_sources"}
NOUNS = {
    "/api/v1/audit_logs": "audit log",
    "/api/v1/ci/": "CI configuration",
    "/api/v1/ci/{ci_config_id}/{pr_num}": "CI configuration or pull request",
    "/api/v1/data_sources": "data source",
    "/api/v1/data_sources/test/": "test of a data source",
    "/api/v1/datadiffs": "data source",
    "/api/v1/datadiffs/": "data diff",
    "/api/v1/explore/db/{data_connection_id}/columns/": "data connection or column",
    "/api/v1/explore/db/{data_connection_id}/tables/": "data connection or table",
    "/api/v1/lineage/bi/": "integration",
    "/api/v1/monitors": "monitor",
    "/api/v1/monitors/{monitor_id}/runs/{run_id}": "monitor run",
}
"""The noun for a missing resource in an error, by the beginning of the path."""


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_declaration_says_what_the_contract_does_not(row: Row) -> None:
    found = declared(row)
    effects = [effect for effect, methods in EFFECTS.items() if row.method in methods]
    assert found.effect is (effects[0] if effects else Effect.READS)
    assert found.may_be_empty == (row.method in MAY_BE_EMPTY)
    assert found.is_classic == found.path.startswith(CLASSIC)
    assert found.carries_secrets == (
        row.method in WITH_SECRETS or found.path.startswith("/api/v1/lineage/bi/")
    )
    assert found.largest >> 20 == (64 if row.method == "query_data_source" else 10)
    if row.method != "list_data_diffs":
        start = max(filter(found.path.startswith, NOUNS), key=len)
        assert found.noun == NOUNS[start]


def test_an_update_is_checked_by_its_declaration_alone(connections: Any, sandbox: Any) -> None:
    with DatafoldHook() as hook, pytest.raises(DatafoldInputError) as caught:
        hook.call(UPDATE["dbt"], {"ci_config_id": 4, "colour": "red"}, bi_datasource_id=7)

    assert "the fields of a dbt integration are ci_config_id, " in str(caught.value)
    assert sandbox.state.requests == []
