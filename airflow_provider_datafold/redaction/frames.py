"""Keep secrets out of tracebacks that show local variables.

What comes in is concealed before a frame holds it, and what is raised leaves the frames behind that
have to hold a secret, such as those that send it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from airflow_provider_datafold.redaction.secret import conceal

_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")
_Raised = TypeVar("_Raised", bound=BaseException)


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
