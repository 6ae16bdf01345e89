"""Which function serves which operation."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote

from dev.sandbox.contract import Operation

Handler = Callable[..., Any]
"""Takes by name each parameter of the contract, the ``body``, and the parts of the state that it
uses, so that a section knows only those below it."""

_Function = TypeVar("_Function", bound=Handler)


@dataclass(frozen=True)
class Later:
    """A response that is made in another thread, without the state's lock."""

    work: Callable[[], Any]


@dataclass(frozen=True)
class Route:
    handler: Handler
    changes: bool

    def run(self, state: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
        parts = inspect.signature(self.handler).parameters.keys() - arguments.keys()
        return self.handler(**arguments, **{name: state[name] for name in parts})


class Router(dict[Operation, Route]):
    def handles(
        self, method: str, path: str, *, changes: bool | None = None
    ) -> Callable[[_Function], _Function]:
        """Make a function the handler of an operation; by default only a GET changes nothing."""

        def add(function: _Function) -> _Function:
            does = method != "GET" if changes is None else changes
            self[Operation(method, path)] = Route(function, does)
            return function

        return add


class Map:
    """Finds the operation of a request."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        # A fixed name takes precedence over a value: ".../types" before ".../{id}".
        ordered = sorted(operations, key=lambda each: each.path.replace("{", "~"))
        self._patterns = [
            (re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", each.path)), each) for each in ordered
        ]

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """Return the operation and the values in the path, ``None`` if there is none.

        A slash in a value is only told from one between values while it is still percent-encoded.
        """
        for pattern, operation in self._patterns:
            if operation.method == method and (match := pattern.fullmatch(path)):
                values = {name: unquote(text) for name, text in match.groupdict().items()}
                return operation, values
        return None
