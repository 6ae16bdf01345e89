"""Queries of the sandbox that really run, in each kind of database."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.sandbox import Sandbox, real_queries
from tests.dev.sandbox.test_real_diffs import ENDLESS, address, fill_duckdb, sources, warehouse
from tests.dev.test_sandbox import KEY, call

pytestmark = pytest.mark.whole

__all__ = ["address", "sources", "warehouse"]

QUERY = "/api/v1/data_sources/1/query"


def ask(sandbox: Any, query: str, **more: Any) -> requests.Response:
    return call(sandbox, "POST", QUERY, json={"query": query, **more})


def rows(sandbox: Any, query: str) -> Any:
    answer = ask(sandbox, query)
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def test_a_query_runs(sources: Any) -> None:
    assert rows(sources, "select count(*) as n, sum(amount) as s from orders; ") == [
        {"n": 5, "s": 100.75}
    ]
    answer = ask(sources, "select id, customer from orders where id > 3 order by id -- some").json()
    assert answer["rows"] == [{"id": 4, "customer": ""}, {"id": 5, "customer": None}]
    assert [column["name"] for column in answer["columns"]] == ["id", "customer"]
    assert rows(sources, "select id from no_orders") == []


@pytest.mark.parametrize(
    "query",
    [
        "selec 1",
        "select * from nowhere",
        "delete from orders",
        "delete from orders returning *",
        "select 1) as query; delete from orders; --",
    ],
)
def test_a_query_that_cannot_run_is_refused(query: str, sources: Any) -> None:
    answer = ask(sources, query)
    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert (problem["loc"], problem["type"]) == (["body"], "query_error")
    assert rows(sources, "select count(*) as n from orders") == [{"n": 5}]


def test_a_query_reads_no_other_file(warehouse: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    assert ask(warehouse, f"select * from '{tmp_path}/secret.csv'").status_code == 422


def test_a_value_that_json_has_not_is_a_string(warehouse: Any) -> None:
    query = "select 'inf'::double as a, 1.5::decimal(3,1) as b, date '2024-01-31' as c, true as d"
    assert rows(warehouse, query) == [{"a": "inf", "b": 1.5, "c": "2024-01-31", "d": True}]


def test_a_response_has_not_all_rows(warehouse: Any) -> None:
    found = rows(warehouse, "select range as id from range(5000)")
    assert [row["id"] for row in found] == list(range(real_queries.MOST_ROWS))


def test_parameters_are_refused(warehouse: Any) -> None:
    answer = ask(warehouse, "select ?", params=["a"])
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "params"]


def test_a_response_that_was_set_comes_first(warehouse: Any) -> None:
    warehouse.state.data_sources.answers["select 1"] = {"rows": [{"a": 7}]}
    assert rows(warehouse, "select 1") == [{"a": 7}]


def test_other_requests_are_served_meanwhile_and_the_query_ends_with_the_sandbox(
    tmp_path: Path,
) -> None:
    with Sandbox() as sandbox:
        sandbox.state.data_sources.connect(1, fill_duckdb(tmp_path / "warehouse.duckdb"))
        key = {"Authorization": f"Key {sandbox.api_key}"}
        url, answers = sandbox.url + QUERY, []

        def wait() -> None:
            body = {"query": ENDLESS}
            answers.append(requests.post(url, json=body, headers=key, timeout=60))

        thread = threading.Thread(target=wait)
        thread.start()
        while not sandbox.state.data_sources.queries.running:
            time.sleep(0.02)
        for _ in range(3):
            requests.get(f"{sandbox.url}/api/v1/data_sources", headers=key, timeout=10)
        assert not answers
        sandbox.state.close()
        thread.join(60)
    assert answers[0].status_code == 422


def test_a_query_does_not_run_for_ever(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_queries, "_PATIENCE", 0.1)
    answer = requests.post(warehouse.url + QUERY, json={"query": ENDLESS}, headers=KEY, timeout=60)
    assert "It took over 0.1 s" in answer.text
    assert not warehouse.state.data_sources.queries.running


def test_a_data_source_without_options_cannot_be_queried(sandbox: Any) -> None:
    created = call(sandbox, "POST", "/api/v1/data_sources", json={"type": "mysql", "name": "m"})
    path = f"/api/v1/data_sources/{created.json()['id']}/query"
    assert call(sandbox, "POST", path, json={"query": "select 1"}).status_code == 422
