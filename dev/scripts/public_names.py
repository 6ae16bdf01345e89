"""Write tests/public_names.txt: the names that users depend on, one to a line, for the tests.

Modules, classes and functions, the arguments and defaults of both, methods, and the fields of the
connection. A change of the file is a change that users see: CHANGELOG names it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import airflow_provider_datafold as package

PATH = Path(__file__).parents[2] / "tests" / "public_names.txt"

_INTERNAL = re.compile(
    r"(api|client|connection|jobs|lazy_modules|omitted|page|redaction)(\..*)?|hooks\.integration"
)
"""Rooms and modules that no DAG imports from."""


def render() -> str:
    """Return what the file must hold."""
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    modules = sorted(_short(each.name) for each in found)
    lines = [line for name in modules if not _INTERNAL.fullmatch(name) for line in _of_module(name)]
    for connection in package.get_provider_info()["connection-types"]:
        kind = f"connection {connection['connection-type']}"
        lines += [kind, *(f"{kind}: {name}" for name in connection["conn-fields"])]
    return "\n".join([*lines, ""])


def _of_module(name: str) -> Iterator[str]:
    yield name
    module = importlib.import_module(f"{package.__name__}.{name}")
    # These have helpers, too, which are not for users.
    start = "Datafold" if name.startswith(("operators", "sensors", "triggers")) else ""
    for own, value in _public(vars(module)):
        if getattr(value, "__module__", None) == module.__name__ and own.startswith(start):
            if inspect.isclass(value):
                yield from _of_class(f"{name}.{own}", value)
            elif inspect.isfunction(value):
                yield from _of_call(f"{name}.{own}", value)


def _of_class(name: str, kind: type[Any]) -> Iterator[str]:
    yield from _of_call(name, kind) if "__init__" in vars(kind) else [name]
    members: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        # What it has from the package's internal rooms is its own to users.
        if base is kind or _INTERNAL.fullmatch(_short(base.__module__)):
            members |= vars(base)
    for own, value in _public(members):
        if isinstance(value, property):
            yield f"{name}.{own}"
        elif isinstance(value, FunctionType | classmethod | staticmethod):
            yield from _of_call(f"{name}.{own}", getattr(kind, own))


def _of_call(name: str, call: Callable[..., Any]) -> Iterator[str]:
    yield f"{name}()"
    for parameter in inspect.signature(call).parameters.values():
        if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
            mark = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
            order = "" if parameter.kind is parameter.KEYWORD_ONLY else " by position"
            yield f"{name}({parameter.name}{mark}){order}"


def _public(members: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(item for item in members.items() if not item[0].startswith("_"))


def _short(module: str) -> str:
    return module.partition(".")[2] if module.startswith(f"{package.__name__}.") else ""


if __name__ == "__main__":
    PATH.write_text(render())
