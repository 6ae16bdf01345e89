"""``docs/coverage.md``: which operation of the API which hook method and operator calls.

The operations that the package declares are compared with the contract by method and path. To find
out what calls them, the script calls every method and operator with a hook that only records the
calls. Run it with ``make coverage-page``.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from operator import methodcaller
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from airflow_provider_datafold import api, get_provider_info
from airflow_provider_datafold.api.bi import KINDS
from airflow_provider_datafold.api.operation import Operation
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.job import State
from airflow_provider_datafold.jobs.monitors.ownership import tags_of
from airflow_provider_datafold.jobs.watch import JobStatus
from airflow_provider_datafold.operators.base import HookUser
from airflow_provider_datafold.redaction.redactor import Redactor
from dev.sandbox import contract

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docs" / "coverage.md"
_ARTIFACTS = str(ROOT / "dev" / "dbt_project" / "artifacts" / "1.11" / "staging")

_SAMPLES: dict[str, Any] = {
    "changes": [],
    "config": {},
    "enabled": True,
    "indexing_cron": "0 6 * * *",
    "manifest": f"{_ARTIFACTS}/manifest.json",
    "run_type": "pull_request",
    "schema1": "one",
    "target": _ARTIFACTS,
}
"""Arguments that are neither numbers, commits nor free text."""

_OPTIONAL: dict[str, Any] = {
    "bindings": [],
    "names": ["sample"],
    "pk_columns": ["sample"],
    "production": {"database": "sample"},
    "table1": "sample",
    "table2": "sample",
}
"""Arguments with defaults that are passed nevertheless."""

_NAMED = {"name": "sample", "schedule": {"type": "none"}, "enabled": False}
_DATABASE = {"connection_id": 7}
_SIDE = _DATABASE | {"table": "sample"}
_DATADIFF = {"diff_type": "indb", "dataset_a": _SIDE, "dataset_b": _SIDE, "primary_key": ["sample"]}
_SPECS: dict[str, dict[str, Any]] = {
    "diff": {"datadiff": _DATADIFF},
    "metric": _DATABASE | {"metric": {"type": "table", "metric": "row_count", "table": "sample"}},
    "schema": _SIDE,
    "test": _DATABASE | {"query": "sample"},
}
"""Specs of monitors by kind, without the common fields."""

_TABLES = {"type": "pg", "rows": [{"TABLE_NAME": "sample", "TABLE_COUNT": 1}]}
"""What a data source has."""

_READS = "reads data; a DAG decides what to do with it"
_ONCE = "is done once, by hand or in a `@task`"
_PATH = "/api/v1/explore/db/{data_connection_id}"
REASONS = {
    "GET /api/v1/audit_logs": f"{_READS}; [recipe](recipes.md#the-audit-log-of-yesterday)",
    "GET /api/v1/lineage/bi/": _READS,
    **{
        f"POST /api/v1/lineage/bi/{kind}/": _ONCE
        for kind in ("dbt", "hightouch", "looker", "mode", "powerbi", "tableau")
    },
    "GET /api/v1/lineage/bi/{bi_datasource_id}/": _READS,
    "DELETE /api/v1/lineage/bi/{bi_datasource_id}/": _ONCE,
    "PATCH /api/v1/datadiffs/{datadiff_id}": "archives or purges a data diff: " + _ONCE,
    "GET /api/v1/data_sources": _READS,
    "POST /api/v1/data_sources": _ONCE,
    "GET /api/v1/data_sources/types": _READS,
    f"GET {_PATH}/columns/{{column_path}}/downstreams": _READS,
    f"GET {_PATH}/columns/{{column_path}}/upstreams": _READS,
    f"GET {_PATH}/tables/{{table_path}}/downstreams": (
        f"{_READS}; [recipe](recipes.md#who-is-downstream)"
    ),
    f"GET {_PATH}/tables/{{table_path}}/upstreams": _READS,
}
"""Why operations need no operator."""

_DECLARING = ("airflow_provider_datafold.api.", "airflow_provider_datafold.hooks.integration")
_FREE = ("call", "run")
"""Where the hook's methods for operations are, and those that call any operation."""

Names = dict[str, set[str]]
"""The callers of an operation, by its method and path."""

_HEAD = """\
<!-- Written by `python -m dev.scripts.api_coverage`. -->
# API coverage

This page lists all operations of Datafold's public API, and what calls them. A script
compares the declarations in `airflow_provider_datafold/api/` with the contract, then
calls each method, operator and sensor and records its requests. If there is no operator,
the page says why. The hook's `run` sends any other request. The last section has what
Datafold's own client calls, but no published contract describes: it may change at any
time.

**{} operations by the hook, {} by an operator.**
"""
_SECTION = """
## {}

| operation | method of `DatafoldHook` | operator, or why there is none |
|---|---|---|
"""


def render(methods: Names, operators: Names) -> str:
    """Write the page, given which of the hook's methods and which operators call what."""
    seen = [each for each in declared() if each.seen_in]
    listed: list[tuple[str, Any]] = [*_contracted()]
    listed += [(f"Seen in {each.seen_in}, not in the contract", each) for each in seen]
    sections: dict[str, str] = {}
    for section, each in listed:
        name, operation = name_of(each), f"{each.method} {each.path}"
        operator = _cell(operators, name) or REASONS.get(operation, "-")
        row = f"| `{operation}` | {_cell(methods, name) or '-'} | {operator} |\n"
        sections[section] = sections.get(section, _SECTION.format(section)) + row
    names = [name_of(operation) for _, operation in _contracted()]
    covered = (
        f"{sum(name in each for name in names)} of {len(names)}" for each in (methods, operators)
    )
    return _HEAD.format(*covered) + "".join(sections.values())


def _cell(found: Names, operation: str) -> str:
    return ", ".join(f"`{name}`" for name in sorted(found.get(operation, ())))


def _contracted() -> list[tuple[str, contract.Operation]]:
    """List the operations of the contract, by their sections, and each with its own."""
    document = contract.load()
    found = [
        (document["paths"][each.path][each.method.lower()]["tags"][0], each)
        for each in contract.operations(document)
    ]
    return sorted(found, key=lambda pair: pair[0])


def declared() -> list[Operation[Any]]:
    """List the operations that the package declares."""
    found = []
    for module in pkgutil.iter_modules(api.__path__, f"{api.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            values = value.values() if isinstance(value, dict) else [value]
            found += [each for each in values if isinstance(each, Operation)]
    return found


def name_of(operation: Any) -> str:
    """Name an operation so that the package's and the contract's, with other fields, are equal."""
    return f"{operation.method} {re.sub('{.*?}', '{id}', operation.path)}"


def methods() -> Names:
    """Find out what each method of the hook calls."""
    return _noted(
        (name, methodcaller(name, **arguments))
        for name, method in inspect.getmembers(DatafoldHook, inspect.isfunction)
        if method.__module__.startswith(_DECLARING) and not (name.startswith("_") or name in _FREE)
        for arguments in _arguments(method)
    )


def operators() -> Names:
    """Find out what each operator and sensor calls."""
    return _noted(
        (operator.__name__, partial(_execute, operator(task_id="sample", **arguments)))
        for operator in classes()
        for arguments in _arguments(operator)
    )


def classes() -> list[Any]:
    """List the operators and sensors."""
    info = get_provider_info()
    found = {
        value
        for room in (*info["operators"], *info["sensors"])
        for module in room["python-modules"]
        for value in vars(importlib.import_module(module)).values()
        if inspect.isclass(value) and issubclass(value, HookUser)
    }
    # Base classes are not operators.
    return [
        operator
        for operator in found
        if not any(other is not operator and issubclass(other, operator) for other in found)
    ]


def _execute(operator: Any, hook: JobHook) -> None:
    """Run a task as a second try, which searches for the job of the first one."""
    names = dict.fromkeys(("dag_id", "task_id", "run_id"), "sample")
    ti = SimpleNamespace(
        **names, map_index=-1, max_tries=1, try_number=2, xcom_push=lambda **_: None
    )
    context = {"ti": ti, "dag_run": SimpleNamespace(start_date=None), "task": operator}
    opened = mock.patch.object(operator, "open_hook", return_value=nullcontext(hook))
    # Every job fails here.
    with opened, suppress(DatafoldError):
        operator.execute(context)


class _Noting(JobHook):
    """Records who calls what, and responds as if there were one monitor at most, nothing else."""

    def __init__(self, found: Names, name: str, *monitors: Any) -> None:
        super().__init__()
        self._found, self._name, self._monitors = found, name, list(monitors)
        self._tags = [tag for monitor in monitors for tag in monitor["tags"]]

    def _redactor(self, *given: Any) -> Redactor:
        return Redactor([])

    def pause(self, seconds: float) -> None:
        pass

    def call(self, operation: Any, body: Any = None, /, **values: Any) -> Any:
        self._found.setdefault(name_of(operation), set()).add(self._name)
        ids = dict.fromkeys(("id", "run_id", "job_id", "ci_run_id"), 7)
        answer = {
            **ids,
            "monitors": self._monitors,
            "total_pages": 1,
            "tags": self._tags,
            **_TABLES,
        }
        return [] if operation.returns is list else answer

    def each(self, do: Any, items: Any, *, at_once: int) -> list[Any]:
        return [do(self, item) for item in items]

    def _send(self, request: Any, max_retries: int | None = None) -> Any:
        if isinstance(request.body, dict):
            self._tags += request.body.get("tags", [])
        return self.call(request.operation)

    def look(self, job: Any, ids: Any, *, is_troubled: bool = False) -> JobStatus:
        self.call(job.read)
        return JobStatus(State.FAILED, "failed", {})

    def wait(self, job: Any, ids: Any, **_: Any) -> JobStatus:
        if job.cancel is not None:
            self.call(job.cancel)
        return self.look(job, ids)


def _noted(calls: Iterable[tuple[str, Callable[[JobHook], Any]]]) -> Names:
    found: Names = {}
    monitor = {"id": 1, "name": "sample", "tags": tags_of("sample", "sample", "")}
    with mock.patch.dict(os.environ, _connections()):
        for name, call in calls:
            call(_Noting(found, name))
            call(_Noting(found, name, monitor))
    return found


def _arguments(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Return sample arguments for a method or an operator, once for each kind that it accepts."""
    needed = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if (parameter.default is parameter.empty or name in _OPTIONAL)
        and parameter.kind is not parameter.VAR_KEYWORD
        and name != "self"
    ]
    given = {name: _sample_of(name) for name in needed}
    if "set_name" in needed:
        specs = {kind: {**_NAMED, **spec, "type": kind} for kind, spec in _SPECS.items()}
        for monitors in (specs, {"sample": specs["test"]}):
            delete = {"dangling_monitors_strategy": "delete"}
            yield {**given, **delete, "spec": {"monitors": monitors}}
    elif "kind" not in needed:
        yield given
    elif "spec" in needed:
        yield from ({**given, "kind": kind, "spec": _NAMED | _SPECS[kind]} for kind in _SPECS)
    else:
        for kind in KINDS.values():
            config = {name: _sample_of(name) for name in kind.fields if kind.requires(name)}
            yield {**given, "kind": kind.name, "config": config}


def _sample_of(field: str) -> Any:
    is_number = field.endswith("_id") or field.startswith("pr_num")
    text = "abcdef0" if field.endswith("_sha") else "sample"
    return {**_SAMPLES, **_OPTIONAL}.get(field, 7 if is_number else text)


def _connections() -> dict[str, str]:
    """Set up the connections that operators read secrets from."""
    extra = {name: "sample" for kind in KINDS.values() for name in kind.fields}
    fields = {"host": "sample.example.com", "login": "sample", "password": "sample", "extra": extra}
    return {
        f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps({"conn_type": "generic", **fields})
        for name in ("datafold", *KINDS)
    }


if __name__ == "__main__":
    PATH.write_text(render(methods(), operators()))
