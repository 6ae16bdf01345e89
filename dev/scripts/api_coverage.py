"""``docs/coverage.md``: which operation of the API which hook method and operator asks for.

Found by calling every one of them and watching what would go out. Run it with
``python -m dev.scripts.api_coverage``.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from dev.sandbox import contract
from dev.sandbox.contract import Operation

if TYPE_CHECKING:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

PATH = Path(__file__).resolve().parents[2] / "docs" / "coverage.md"

_SAMPLES: dict[str, Any] = {
    "bi_datasource_id": 7,
    "bindings": [],
    "ci_config_id": 4,
    "indexing_cron": "0 6 * * *",
    "repo_id": 3,
}
"""Arguments, and fields of configurations, that are no text."""

_ANY = "run"
"""The hook's method that sends whatever it is told to."""

Found = Mapping[Operation, set[str]]
Call = Callable[["DatafoldHook"], Any]


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


def render(methods: Found, operators: Found) -> str:
    """Write the page.

    :param methods: by operation, the hook's methods that ask for it.
    :param operators: by operation, the operators that do.
    :return: Markdown.
    """
    rows = [
        f"| `{operation}` | {_cell(methods[operation])} | {_cell(operators[operation])} |"
        for operation in methods
    ]
    return "\n".join(
        [
            "<!-- Written by `python -m dev.scripts.api_coverage`. -->",
            "# What of the API is covered",
            "",
            "The operations of the API's BI section, and what asks for them: each method and each",
            "operator was called, and its request noted. The hook's `run` sends any other.",
            "",
            f"**{_covered(methods)} operations by the hook, "
            f"{_covered(operators)} by an operator.**",
            "",
            "| operation | method of `DatafoldHook` | operator |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def methods() -> Found:
    """Find out what each method of the hook asks for.

    :return: by operation, the methods' names.
    """
    from airflow_provider_datafold.hooks.datafold import DatafoldHook
    from airflow_provider_datafold.kinds import KINDS

    def calls() -> Iterator[tuple[str, Call]]:
        for name, method in vars(DatafoldHook).items():
            if name.startswith("_") or name == _ANY or not inspect.isfunction(method):
                continue
            needed = _needed(method)
            for kind in KINDS.values() if "kind" in needed else (None,):
                arguments = {parameter: _sample(parameter) for parameter in needed}
                if kind is not None:
                    config = {f.name: _sample(f.name) for f in kind.fields if f.required}
                    arguments |= {"kind": kind.name, "config": config}
                yield name, partial(_call, name, arguments)

    return _found(calls())


def operators() -> Found:
    """Find out what each operator asks for.

    :return: by operation, the operators' names.
    """
    from airflow_provider_datafold.operators import bi

    classes = [
        value
        for value in vars(bi).values()
        if isinstance(value, type) and issubclass(value, bi.DatafoldOperator)
    ]

    def calls() -> Iterator[tuple[str, Call]]:
        for operator in classes:
            if any(other is not operator and issubclass(other, operator) for other in classes):
                continue  # what others share
            arguments = {parameter: _sample(parameter) for parameter in _needed(operator)}
            yield operator.__name__, operator(task_id="sample", **arguments).call

    return _found(calls())


def _found(calls: Iterable[tuple[str, Call]]) -> Found:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

    found: Found = {
        operation: set() for operation in contract.operations(contract.load(), contract.BI)
    }
    for name, call in calls:
        with _recording() as requests, DatafoldHook() as hook:
            call(hook)
        for method, path in requests:
            (operation,) = (each for each in found if each.is_asked_by(method, path))
            found[operation].add(name)
    return found


def _call(method: str, arguments: Mapping[str, Any], hook: DatafoldHook) -> Any:
    return getattr(hook, method)(**arguments)


@contextmanager
def _recording() -> Iterator[list[tuple[str, str]]]:
    """Answer each request with an empty object, and note it in place of sending it."""
    from airflow_provider_datafold.answer import Answer
    from airflow_provider_datafold.kinds import KINDS

    requests: list[tuple[str, str]] = []

    def exchange(session: Any, settings: Any, method: str, path: str, body: Any) -> Answer:
        requests.append((method, path))
        return Answer(200, {}, b"{}")

    extra = {field.name: "sample" for kind in KINDS.values() for field in kind.fields}
    others = {"host": "sample.example.com", "login": "sample", "password": "sample", "extra": extra}
    connections = {"datafold": {"password": "sample"}} | dict.fromkeys(KINDS, others)
    environment = {
        f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps({"conn_type": "generic", **connection})
        for name, connection in connections.items()
    }
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch("airflow_provider_datafold.transport.exchange", exchange),
    ):
        yield requests


def _needed(function: Callable[..., Any]) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
        and parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_KEYWORD
    ]


def _sample(name: str) -> Any:
    return _SAMPLES.get(name, "sample")


def _covered(found: Found) -> str:
    return f"{sum(map(bool, found.values()))} of {len(found)}"


def _cell(names: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "-"


if __name__ == "__main__":
    sys.exit(main())
