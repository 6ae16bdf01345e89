"""``docs/coverage.md``: which operation of the API which hook method and operator calls.

The operations are those that the package declares, compared with the contract by method and path.
Who calls them is found by calling every method and operator, on a hook that only takes note. Run
it with ``python -m dev.scripts.api_coverage``.
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
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from dev.sandbox import contract

if TYPE_CHECKING:
    from airflow_provider_datafold.api.operation import Operation
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docs" / "coverage.md"

SAMPLES: dict[str, Any] = {
    "bindings": [],
    "changes": [],
    "config": {},
    "enabled": True,
    "indexing_cron": "0 6 * * *",
    "spec": {},
}
"""Arguments that are neither ids nor free text."""

FREE = ("call", "run")
"""The hook's methods that call whatever they are told to."""

Names = dict[str, set[str]]
"""Who calls an operation, by the operation's method and path."""


def main() -> int:
    """Write the page, or compare with it.

    :return: exit code, 0 unless the page is not what the code gives.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.scripts.api_coverage", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
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
        name = name_of(operation)
        cells = (f"`{operation}`", _cell(methods.get(name)), _cell(operators.get(name)))
        sections.setdefault(section, []).append(f"| {' | '.join(cells)} |")
    lines = [
        "<!-- Written by `python -m dev.scripts.api_coverage`. -->",
        "# What of the API is covered",
        "",
        "All operations of Datafold's public API, and what calls them: the declarations in",
        "`airflow_provider_datafold/api/` were compared with the contract, and each method and",
        "each operator was called to see what it asks for. The hook's `run` sends any other",
        "request.",
        "",
        f"**{_covered(methods)} operations by the hook, {_covered(operators)} by an operator.**",
    ]
    for section, rows in sections.items():
        head = ["| operation | method of `DatafoldHook` | operator |", "|---|---|---|"]
        lines += ["", f"## {section}", "", *head, *rows]
    return "\n".join([*lines, ""])


def contracted() -> list[tuple[str, contract.Operation]]:
    """List the operations of the contract.

    :return: each with its section, sorted by section, else in the contract's order.
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
    :return: both; the fields in a path have other names in the two.
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
        if method.__module__.startswith("airflow_provider_datafold.api.")
        and not (name.startswith("_") or name in FREE)
        for arguments in _arguments(method)
    )


def operators() -> Names:
    """Find out what each operator calls.

    :return: by operation, the operators' names.
    """
    from airflow_provider_datafold import operators as room
    from airflow_provider_datafold.operators.base import DatafoldOperator

    classes = {
        value
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}.")
        for value in vars(importlib.import_module(module.name)).values()
        if inspect.isclass(value) and issubclass(value, DatafoldOperator)
    }
    return _noted(
        (operator.__name__, operator(task_id="sample", **arguments).call)
        for operator in classes
        # Those that others inherit from are no operators by themselves.
        if not any(other is not operator and issubclass(other, operator) for other in classes)
        for arguments in _arguments(operator)
    )


def _noted(calls: Iterable[tuple[str, Callable[[DatafoldHook], Any]]]) -> Names:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook
    from airflow_provider_datafold.redaction.redactor import Redactor

    found: Names = {}

    class Noting(DatafoldHook):
        """Notes what is called."""

        place = "nowhere"
        name = ""

        def redactor(self, *given: Any) -> Redactor:
            return Redactor([])

        def call(self, operation: Any, body: Any = None, /, **values: Any) -> Any:
            found.setdefault(name_of(operation), set()).add(self.name)

    with mock.patch.dict(os.environ, _connections()):
        for name, call in calls:
            hook = Noting()
            hook.name = name
            call(hook)
    return found


def _arguments(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Make up what a method or an operator must be given, once for each kind that it takes."""
    from airflow_provider_datafold.api import monitors
    from airflow_provider_datafold.api.kinds import KINDS

    needed = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_KEYWORD
        and name != "self"
    ]
    given = {name: SAMPLES.get(name, 7 if name.endswith("_id") else "sample") for name in needed}
    if "kind" not in needed:
        yield given
    elif "spec" in needed:
        yield from ({**given, "kind": kind} for kind in monitors.KINDS)
    else:
        for kind in KINDS.values():
            config = {field.name: _sample_of(field.name) for field in kind.fields if field.required}
            yield {**given, "kind": kind.name, "config": config}


def _sample_of(field: str) -> Any:
    return SAMPLES.get(field, 7 if field.endswith("_id") else "sample")


def _connections() -> dict[str, str]:
    """Set up the connections that operators read secrets from."""
    from airflow_provider_datafold.api.kinds import KINDS

    extra = {field.name: "sample" for kind in KINDS.values() for field in kind.fields}
    fields = {"host": "sample.example.com", "login": "sample", "password": "sample", "extra": extra}
    return {
        f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps({"conn_type": "generic", **fields})
        for name in KINDS
    }


def _covered(found: Names) -> str:
    names = [name_of(operation) for _, operation in contracted()]
    return f"{sum(name in found for name in names)} of {len(names)}"


def _cell(names: set[str] | None) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names or ())) or "-"


if __name__ == "__main__":
    sys.exit(main())
