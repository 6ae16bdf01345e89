"""A secret value that no frame, log or repr shows before it is encoded for sending.

What comes in is concealed before a frame holds it, and what is raised leaves the frames behind that
have to hold a secret, such as those that send it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.omitted import OMITTED

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")
_Raised = TypeVar("_Raised", bound=BaseException)

WRITE_ONLY = frozenset(json.loads(Path(__file__).with_name("secret_names.json").read_text()))
"""Fields that the contract calls write-only, of all request bodies."""

MASK = "***"

SHORTEST_PART = 5
"""Shorter secrets are not replaced in strings: that would make most of them unreadable."""


class Secret:
    """Holds a secret of any type. Its repr is ``***``: a traceback may print local variables."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """Return the value."""
        return self._value

    def texts(self) -> Iterator[str]:
        """Return every string in the value, without the white space around it."""
        return (leaf.strip() for leaf in _leaves(self._value) if isinstance(leaf, str))

    def __repr__(self) -> str:
        return MASK


def conceal(value: Any, name: Any = None) -> Any:
    """Copy a value, with each field that has the name of a secret, unless null, wrapped."""
    if name in WRITE_ONLY:
        is_plain = value is None or value is OMITTED or isinstance(value, Secret)
        return value if is_plain else Secret(value)
    if isinstance(value, Mapping):
        return {key: conceal(item, key) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [conceal(item) for item in value]
    return value


def concealed(function: Callable[_Given, _Returned]) -> Callable[_Given, _Returned]:
    """Conceal the secrets in all arguments of a function, before it sees them."""

    @wraps(function)
    def with_concealed(*given: _Given.args, **named: _Given.kwargs) -> _Returned:
        given = tuple(map(conceal, given))  # type: ignore[assignment]
        for name, value in named.items():
            named[name] = conceal(value, name)
        return function(*given, **named)

    return with_concealed


def frameless(error: _Raised, outer: BaseException | None = None) -> _Raised:
    """Return an error without its frames, and with what the caller was handling as its context."""
    error.__context__ = outer
    return error.with_traceback(None)


def secrets_in(value: Any) -> Iterator[Secret]:
    """Find each :class:`Secret` in a concealed value."""
    return (leaf for leaf in _leaves(value) if isinstance(leaf, Secret))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value


def encode(value: Any) -> Secret:
    """Encode a body as JSON in UTF-8, in which a :class:`Secret` stands for its value."""
    try:
        return Secret(_ENCODER.encode(value).encode())
    except (TypeError, ValueError):
        raise DatafoldInputError(
            "the body cannot be encoded as JSON: it contains NaN, Infinity, a lone surrogate, or a "
            "type that JSON does not have. Nothing was sent."
        ) from None


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_revealed)
