"""Write tests/public_names.txt: the names that users depend on, one to a line, for the tests.

Modules, classes and functions, the arguments and defaults of both, methods, and the fields of the
connection. A change of the file is a change that users see: CHANGELOG names it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import airflow_provider_datafold as package

PATH = Path(__file__).parents[2] / "tests" / "public_names.txt"

_INTERNAL = {
    "api",
    "client",
    "connection",
    "hooks.integration",
    "jobs",
    "lazy_modules",
    "omitted",
    "page",
    "redaction",
}
"""Rooms and modules that no DAG imports from."""

_WITH_HELPERS = {"operators", "sensors", "triggers"}
"""Rooms where only names that begin with Datafold are for users."""


def render() -> str:
    """Return what the file must hold."""
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    modules = [name for name in sorted(each.name for each in found) if not _is_internal(name)]
    lines = [line for name in modules for line in _of_module(importlib.import_module(name))]
    for connection in package.get_provider_info()["connection-types"]:
        kind = f"connection {connection['connection-type']}"
        lines += [kind, *(f"{kind}: {name}" for name in connection["conn-fields"])]
    return "\n".join([*lines, ""])


def _is_internal(module: str) -> bool:
    own = _short(module)
    return own != module and not {own, own.split(".")[0]}.isdisjoint(_INTERNAL)


def _of_module(module: ModuleType) -> Iterator[str]:
    name = _short(module.__name__)
    yield name
    start = "Datafold" if name.split(".")[0] in _WITH_HELPERS else ""
    for own, value in _public(vars(module)):
        if getattr(value, "__module__", None) != module.__name__ or not own.startswith(start):
            continue
        if inspect.isclass(value):
            yield from _of_class(f"{name}.{own}", value)
        elif inspect.isfunction(value):
            yield from _of_call(f"{name}.{own}", value)


def _of_class(name: str, kind: type[Any]) -> Iterator[str]:
    if "__init__" in vars(kind):
        yield from _of_call(name, kind)
    else:
        yield name
    members: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        # What it has from the package's internal rooms is its own to users.
        if base is kind or _is_internal(base.__module__):
            members |= vars(base)
    for own, value in _public(members):
        if isinstance(value, property):
            yield f"{name}.{own}"
        elif isinstance(value, FunctionType | classmethod | staticmethod):
            yield from _of_call(f"{name}.{own}", getattr(kind, own))


def _public(members: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(item for item in members.items() if not item[0].startswith("_"))


def _of_call(name: str, call: Callable[..., Any]) -> Iterator[str]:
    yield f"{name}()"
    for parameter in inspect.signature(call).parameters.values():
        if parameter.name == "self" or parameter.kind is parameter.VAR_KEYWORD:
            continue
        mark = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        order = "" if parameter.kind is parameter.KEYWORD_ONLY else " by position"
        yield f"{name}({parameter.name}{mark}){order}"


def _short(module: str) -> str:
    return module.removeprefix(f"{package.__name__}.")


if __name__ == "__main__":
    PATH.write_text(render())
