"""How each operation of the contract is called: the hook's method, its arguments, the request."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote

from airflow_provider_datafold import api
from airflow_provider_datafold.api.operation import Operation as Declared
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox.bi import FIRST_OTHER
from dev.sandbox.contract import Operation
from tests import bodies

BI = "/api/v1/lineage/bi"
DIFFS = "/api/v1/datadiffs"
MONITORS = "/api/v1/monitors"
SOURCES = "/api/v1/data_sources"
EXPLORE = "/api/v1/explore/db/{data_connection_id}"
KINDS = ("hightouch", "looker", "mode", "tableau", "powerbi", "dbt")
INTEGRATIONS = {"hightouch": 7} | {
    kind: FIRST_OTHER + place for place, kind in enumerate(KINDS[1:])
}
MONITOR_KINDS = ("diff", "metric", "schema", "test")
TABLE = 'DB."www.my site".T'
START = "2024-01-31T06:00:00+00:00"
END = "2024-02-29T06:00:00.123456+02:00"
PAGES = {"page": 2, "page_size": 5}
PULL_REQUEST = {
    "pr_number": 8,
    "pr_sha": "a1",
    "base_sha": "b2",
    "pr_branch": "feature/x",
    "base_branch": "main",
}


@dataclass(frozen=True)
class Row:
    """How an operation is called.

    :param operation: as the contract writes it.
    :param method: the hook's method.
    :param args: its arguments in front of the body.
    :param path: the path that must arrive.
    :param body: any right body, ``None`` where the operation has none.
    :param spread: whether the body's fields are the method's arguments.
    :param query: arguments for the query, and what must arrive of them.
    """

    operation: str
    method: str
    args: tuple[Any, ...] = ()
    path: str = ""
    body: Any = None
    spread: bool = False
    query: dict[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> Operation:
        return Operation(*self.operation.split(" "))

    def call(self, hook: DatafoldHook, body: Any = None, **query: Any) -> Any:
        body = self.body if body is None else body
        if self.spread:
            query |= body
        elif body is not None:
            return getattr(hook, self.method)(*self.args, body, **query)
        return getattr(hook, self.method)(*self.args, **query)


def sample(operation: str) -> Any:
    return next(bodies.minimal(Operation(*operation.split(" "))))


def rows() -> Iterator[Row]:
    yield Row(
        "GET /api/v1/audit_logs",
        "list_audit_logs",
        body={"start_date": START, "end_date": END},
        spread=True,
    )
    yield Row(
        "GET /api/v1/ci/{ci_config_id}/runs",
        "list_ci_runs",
        ("4",),
        "/api/v1/ci/4/runs",
        query={"pr_sha": "a&b=c", "pr_num": "8", "limit": 3, "offset": 0},
    )
    yield Row(
        "POST /api/v1/ci/{ci_config_id}/trigger",
        "trigger_ci",
        (4,),
        "/api/v1/ci/4/trigger",
        PULL_REQUEST,
        spread=True,
    )
    yield Row(
        "POST /api/v1/ci/{ci_config_id}/{pr_num}",
        "upload_ci_changes",
        (4, "8"),
        "/api/v1/ci/4/8",
        [{"prod": "a", "pr": "b"}],
    )
    yield Row(f"GET {SOURCES}", "list_data_sources")
    yield Row(f"POST {SOURCES}", "create_data_source", body=sample(f"POST {SOURCES}"))
    yield Row(f"GET {SOURCES}/test/{{job_id}}", "get_data_source_test", (1,), f"{SOURCES}/test/1")
    yield Row(f"GET {SOURCES}/types", "list_data_source_types")
    one = f"{SOURCES}/{{data_source_id}}"
    yield Row(f"GET {one}", "get_data_source", (2,), f"{SOURCES}/2")
    yield Row(
        f"POST {one}/query",
        "query_data_source",
        (2,),
        f"{SOURCES}/2/query",
        {"query": "select 1", "params": ["x"]},
        spread=True,
    )
    yield Row(f"GET {one}/summary", "get_data_source_summary", (2,), f"{SOURCES}/2/summary")
    yield Row(f"POST {one}/test", "test_data_source", (2,), f"{SOURCES}/2/test")
    yield Row(
        f"GET {DIFFS}",
        "list_data_diffs",
        query={**PAGES, "sort_order": "desc", "order_by": "created_at", "accessible_only": True},
    )
    yield Row(f"POST {DIFFS}", "create_data_diff", body=sample(f"POST {DIFFS}"))
    one = f"{DIFFS}/{{datadiff_id}}"
    yield Row(f"GET {one}", "get_data_diff", (2,), f"{DIFFS}/2")
    yield Row(
        f"PATCH {one}", "update_data_diff", (2,), f"{DIFFS}/2", {"archived": True}, spread=True
    )
    yield Row(f"POST {one}/cancel", "cancel_data_diff", (2,), f"{DIFFS}/2/cancel")
    yield Row(f"GET {one}/summary", "get_data_diff_summary", (2,), f"{DIFFS}/2/summary")
    yield Row(
        f"GET {one}/summary_results",
        "get_data_diff_summary_results",
        (2,),
        f"{DIFFS}/2/summary_results",
    )
    for kind, name in (("columns", f"{TABLE}.id"), ("tables", TABLE)):
        for end in ("upstreams", "downstreams"):
            singular = kind[:-1]
            query = {"max_depth": 99} | (
                {"include_tabular_nodes": False} if kind == "columns" else {}
            )
            yield Row(
                f"GET {EXPLORE}/{kind}/{{{singular}_path}}/{end}",
                f"list_{singular}_{end}",
                (2, name),
                f"/api/v1/explore/db/2/{kind}/{quote(name, safe='')}/{end}",
                query=query,
            )
    yield Row(f"GET {BI}/", "list_integrations")
    one = f"{BI}/{{bi_datasource_id}}/"
    yield Row(f"GET {one}", "get_integration", ("7",), f"{BI}/7/")
    yield Row(f"DELETE {one}", "delete_integration", (7,), f"{BI}/7/")
    yield Row(f"GET {one}sync/", "sync_integration", (7,), f"{BI}/7/sync/")
    for kind, number in INTEGRATIONS.items():
        create, update = f"POST {BI}/{kind}/", f"PUT {BI}/{kind}/{{bi_datasource_id}}/"
        yield Row(create, "create_integration", (kind,), body=sample(create))
        yield Row(
            update,
            "update_integration",
            (kind, number),
            f"{BI}/{kind}/{number}/",
            sample(update),
        )
    yield Row(
        f"GET {MONITORS}",
        "list_monitors",
        query={**PAGES, "order_by": "last_run", "sort_order": "asc", "tags": "a, b"},
    )
    for kind in MONITOR_KINDS:
        create = f"POST {MONITORS}/create/{kind}"
        yield Row(create, "create_monitor", (kind,), body=sample(create))
    one = f"{MONITORS}/{{id}}"
    yield Row(f"GET {one}", "get_monitor", (2,), f"{MONITORS}/2")
    yield Row(f"DELETE {one}", "delete_monitor", (2,), f"{MONITORS}/2")
    yield Row(f"POST {one}/run", "run_monitor", (2,), f"{MONITORS}/2/run")
    yield Row(
        f"GET {one}/runs",
        "list_monitor_runs",
        (2,),
        f"{MONITORS}/2/runs",
        query={**PAGES, "start_time": START, "end_time": END},
    )
    yield Row(f"GET {one}/runs/{{run_id}}", "get_monitor_run", (2, 1), f"{MONITORS}/2/runs/1")
    yield Row(
        f"PUT {one}/toggle",
        "toggle_monitor",
        (2,),
        f"{MONITORS}/2/toggle",
        {"enabled": False},
        spread=True,
    )
    yield Row(
        f"PATCH {one}/update",
        "update_monitor",
        ("metric", 2),
        f"{MONITORS}/2/update",
        {"name": "n", "type": "metric"},
    )


ROWS = list(rows())
WITH_BODY = [row for row in ROWS if row.body is not None]


def named(row: Row) -> str:
    """Name a row in the list of tests."""
    return row.operation


def name_of(operation: Any) -> str:
    """Name an operation so that the package's and the contract's, with other fields, are equal."""
    return f"{operation.method} {re.sub('{.*?}', '{id}', operation.path)}"


def declared(row: Row) -> Any:
    """The package's declaration of an operation."""
    return declarations()[name_of(row.asked)]


@cache
def declarations() -> dict[str, Any]:
    """All operations that the package declares, by their names."""
    found = []
    for module in pkgutil.iter_modules(api.__path__, f"{api.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            values = value.values() if isinstance(value, dict) else [value]
            found += [(name_of(each), each) for each in values if isinstance(each, Declared)]
    assert len(dict(found)) == len(found)
    return dict(found)


def values_in(row: Row) -> dict[str, Any]:
    """What a row has in the path of its request, by name."""
    names = [part[1:-1] for part in declared(row).path.split("/") if part.startswith("{")]
    args = [arg for arg in row.args if arg not in (*KINDS, *MONITOR_KINDS)]
    return dict(zip(names, args, strict=True))


def prepare(state: Any) -> None:
    """Let a sandbox have the run of a monitor and the test of a data source that the rows read."""
    with state.lock:
        monitors, sources = state.monitors, state.data_sources
        monitors.jobs[1] = monitors.courses.start()
        monitors.runs[1] = {"run_id": 1, "monitor_id": 2, "started_at": START}
        sources.jobs[1] = sources.courses.start()
