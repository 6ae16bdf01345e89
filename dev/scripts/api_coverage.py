"""``docs/coverage.md``: which operation of the API which hook method and operator calls.

The operations that the package declares are compared with the contract by method and path. To find
out what calls them, the script calls every method and operator with a hook that only records the
calls. Run it with ``python -m dev.scripts.api_coverage``.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import pkgutil
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from operator import methodcaller
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from dev.sandbox import contract

if TYPE_CHECKING:
    from airflow_provider_datafold.api.operation import Operation
    from airflow_provider_datafold.jobs.hook import JobHook

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docs" / "coverage.md"

SAMPLES: dict[str, Any] = {
    "base_sha": "abcdef0",
    "changes": [],
    "commit_sha": "abcdef0",
    "config": {},
    "enabled": True,
    "indexing_cron": "0 6 * * *",
    "manifest": str(ROOT / "dev" / "dbt_project" / "artifacts" / "1.11" / "staging/manifest.json"),
    "pr_num": 7,
    "pr_number": 7,
    "pr_sha": "abcdef0",
    "run_type": "pull_request",
    "target": str(ROOT / "dev" / "dbt_project" / "artifacts" / "1.11" / "staging"),
}
"""Arguments that are neither ids nor free text."""

OPTIONAL: dict[str, Any] = {
    "bindings": [],
    "pk_columns": ["sample"],
    "production": {"database": "sample"},
    "table1": "sample",
    "table2": "sample",
}
"""Arguments with defaults that are passed nevertheless."""

_NAMED = {"name": "sample", "schedule": {"type": "none"}, "enabled": False}
_SIDE = {"connection_id": 7, "table": "sample"}
_DATADIFF = {"diff_type": "indb", "dataset_a": _SIDE, "dataset_b": _SIDE, "primary_key": ["sample"]}
SPECS: dict[str, dict[str, Any]] = {
    "diff": {"datadiff": _DATADIFF},
    "metric": {
        "connection_id": 7,
        "metric": {"type": "table", "metric": "row_count", "table": "sample"},
    },
    "schema": {"connection_id": 7, "table": "sample"},
    "test": {"connection_id": 7, "query": "sample"},
}
"""Specs of monitors by kind, without the common fields."""

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
    "POST /api/v1/data_sources/{data_source_id}/query": "Airflow's SQL operators run queries",
    "GET /api/v1/data_sources/{data_source_id}/summary": _READS,
    f"GET {_PATH}/columns/{{column_path}}/downstreams": _READS,
    f"GET {_PATH}/columns/{{column_path}}/upstreams": _READS,
    f"GET {_PATH}/tables/{{table_path}}/downstreams": (
        f"{_READS}; [recipe](recipes.md#who-is-downstream)"
    ),
    f"GET {_PATH}/tables/{{table_path}}/upstreams": _READS,
}
"""Why operations need no operator."""

_DECLARING = ("airflow_provider_datafold.api.", "airflow_provider_datafold.hooks.integrations")
"""Where the hook's methods for operations are."""

FREE = ("call", "run")
"""The hook's methods that call any operation."""

Names = dict[str, set[str]]
"""The callers of an operation, by its method and path."""


def main() -> int:
    """Write the page, or compare with it.

    :return: exit code, 0 unless the page differs from the code.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.scripts.api_coverage", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory(prefix="datafold-coverage-") as home:
        # Airflow reads both when it is first imported, and makes files in its home.
        os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
        page = render(methods(), operators())
    if not check:
        PATH.write_text(page)
    elif PATH.read_text() != page:
        print("docs/coverage.md is not what the code gives; make coverage-page", file=sys.stderr)
        return 1
    return 0


def render(methods: Names, operators: Names) -> str:
    """Write the page.

    :param methods: by operation, the hook's methods that call it.
    :param operators: by operation, the operators that do.
    :return: Markdown.
    """
    sections: dict[str, list[str]] = {}
    for section, operation in contracted():
        row = _row(str(operation), name_of(operation), methods, operators)
        sections.setdefault(section, []).append(row)
    for each in declared():
        if each.seen_in:
            row = _row(f"{each.method} {each.path}", name_of(each), methods, operators)
            title = f"Seen in {each.seen_in}, not in the contract"
            sections.setdefault(title, []).append(row)
    lines = [
        "<!-- Written by `python -m dev.scripts.api_coverage`. -->",
        "# API coverage",
        "",
        "This page lists all operations of Datafold's public API, and what calls them. A script",
        "compares the declarations in `airflow_provider_datafold/api/` with the contract, then",
        "calls each method, operator and sensor and records its requests. If there is no operator,",
        "the page says why. The hook's `run` sends any other request. The last section has what",
        "Datafold's own client calls, but no published contract describes: it may change at any",
        "time.",
        "",
        f"**{_covered(methods)} operations by the hook, {_covered(operators)} by an operator.**",
    ]
    for section, rows in sections.items():
        head = [
            "| operation | method of `DatafoldHook` | operator, or why there is none |",
            "|---|---|---|",
        ]
        lines += ["", f"## {section}", "", *head, *rows]
    return "\n".join([*lines, ""])


def _row(operation: str, name: str, methods: Names, operators: Names) -> str:
    operator = _cell(operators.get(name)) or REASONS.get(operation, "")
    cells = (f"`{operation}`", _cell(methods.get(name)) or "-", operator or "-")
    return f"| {' | '.join(cells)} |"


def contracted() -> list[tuple[str, contract.Operation]]:
    """List the operations of the contract.

    :return: each with its section, sorted by section, then in the contract's order.
    """
    document = contract.load()
    found = [
        (document["paths"][each.path][each.method.lower()]["tags"][0], each)
        for each in contract.operations(document)
    ]
    return sorted(found, key=lambda pair: pair[0])


def declared() -> list[Operation[Any]]:
    """List the operations that the package declares."""
    from airflow_provider_datafold import api
    from airflow_provider_datafold.api.operation import Operation

    found = []
    for module in pkgutil.iter_modules(api.__path__, f"{api.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            values = value.values() if isinstance(value, dict) else [value]
            found += [each for each in values if isinstance(each, Operation)]
    return found


def name_of(operation: Any) -> str:
    """Name an operation, of the package or of the contract, so that the two can be compared.

    :param operation: has a ``method`` and a ``path``.
    :return: method and path, without the names of fields, which differ between the two.
    """
    return f"{operation.method} {re.sub('{.*?}', '{id}', operation.path)}"


def methods() -> Names:
    """Find out what each method of the hook calls.

    :return: by operation, the methods' names.
    """
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

    return _noted(
        (name, methodcaller(name, **arguments))
        for name, method in inspect.getmembers(DatafoldHook, inspect.isfunction)
        if method.__module__.startswith(_DECLARING) and not (name.startswith("_") or name in FREE)
        for arguments in _arguments(method)
    )


def operators() -> Names:
    """Find out what each operator and sensor calls.

    :return: by operation, their names.
    """
    return _noted(
        (operator.__name__, partial(_execute, operator(task_id="sample", **arguments)))
        for operator in classes()
        for arguments in _arguments(operator)
    )


def classes() -> list[Any]:
    """List the operators and sensors.

    :return: their classes.
    """
    from airflow_provider_datafold import get_provider_info
    from airflow_provider_datafold.operators.base import HookUser

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
    from airflow_provider_datafold.exceptions import DatafoldError

    names = dict.fromkeys(("dag_id", "task_id", "run_id"), "sample")
    ti = SimpleNamespace(
        **names, map_index=-1, max_tries=1, try_number=2, xcom_push=lambda **_: None
    )
    context = {"ti": ti, "dag_run": SimpleNamespace(start_date=None), "task": operator}
    opened = mock.patch.object(operator, "open_hook", return_value=nullcontext(hook))
    # Every job fails here.
    with opened, suppress(DatafoldError):
        operator.execute(context)


def _noted(calls: Iterable[tuple[str, Callable[[JobHook], Any]]]) -> Names:
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.job import State
    from airflow_provider_datafold.jobs.monitors.ownership import tags_of
    from airflow_provider_datafold.jobs.watch import JobStatus
    from airflow_provider_datafold.redaction.redactor import Redactor

    found: Names = {}

    class Noting(JobHook):
        """Records calls, and responds as if there were one monitor and nothing else."""

        name = ""
        monitor: Any = None

        def _redactor(self, *given: Any) -> Redactor:
            return Redactor([])

        def pause(self, seconds: float) -> None:
            pass

        def call(self, operation: Any, body: Any = None, /, **values: Any) -> Any:
            found.setdefault(name_of(operation), set()).add(self.name)
            ids = dict.fromkeys(("id", "run_id", "job_id", "ci_run_id"), 7)
            monitors = [] if self.monitor is None else [self.monitor]
            answer = {**ids, "monitors": monitors, "total_pages": 1}
            return [] if operation.returns is list else answer

        def _send(self, request: Any, max_retries: int | None = None) -> Any:
            return self.call(request.operation)

        def look(self, job: Any, ids: Any, *, is_troubled: bool = False) -> JobStatus:
            self.call(job.read)
            return JobStatus(State.FAILED, "failed", {})

        def wait(self, job: Any, ids: Any, **_: Any) -> JobStatus:
            if job.cancel is not None:
                self.call(job.cancel)
            return self.look(job, ids)

    with mock.patch.dict(os.environ, _connections()):
        for name, call in calls:
            for monitor in (None, {"id": 7, "tags": tags_of("sample", "sample", "")}):
                hook = Noting()
                hook.name, hook.monitor = name, monitor
                call(hook)
    return found


def _arguments(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Return sample arguments for a method or an operator, once for each kind that it accepts."""
    from airflow_provider_datafold.api.kinds import KINDS

    needed = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if (parameter.default is parameter.empty or name in OPTIONAL)
        and parameter.kind is not parameter.VAR_KEYWORD
        and name != "self"
    ]
    given = {name: _sample_of(name) for name in needed}
    if "set_name" in needed:
        specs = {kind: {**_NAMED, **spec, "type": kind} for kind, spec in SPECS.items()}
        for monitors in (specs, {"sample": specs["test"]}):
            delete = {"dangling_monitors_strategy": "delete"}
            yield {**given, **delete, "spec": {"monitors": monitors}}
    elif "kind" not in needed:
        yield given
    elif "spec" in needed:
        yield from ({**given, "kind": kind, "spec": _NAMED | SPECS[kind]} for kind in SPECS)
    else:
        for kind in KINDS.values():
            config = {field.name: _sample_of(field.name) for field in kind.fields if field.required}
            yield {**given, "kind": kind.name, "config": config}


def _sample_of(field: str) -> Any:
    return {**SAMPLES, **OPTIONAL}.get(field, 7 if field.endswith("_id") else "sample")


def _connections() -> dict[str, str]:
    """Set up the connections that operators read secrets from."""
    from airflow_provider_datafold.api.kinds import KINDS

    extra = {field.name: "sample" for kind in KINDS.values() for field in kind.fields}
    fields = {"host": "sample.example.com", "login": "sample", "password": "sample", "extra": extra}
    return {
        f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps({"conn_type": "generic", **fields})
        for name in ("datafold", *KINDS)
    }


def _covered(found: Names) -> str:
    names = [name_of(operation) for _, operation in contracted()]
    return f"{sum(name in found for name in names)} of {len(names)}"


def _cell(names: set[str] | None) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names or ()))


if __name__ == "__main__":
    sys.exit(main())
