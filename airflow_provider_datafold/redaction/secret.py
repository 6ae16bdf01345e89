"""A value that no frame, log or repr may show until its bytes are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from json import JSONEncoder
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.names import WRITE_ONLY

MASK = "***"

SHORTEST_PART = 5
"""Characters from which on a secret is also looked for inside longer texts: to take a shorter one
out of them would make nonsense of most of them."""


class Secret:
    """Holds a secret, and shows ``***`` wherever it is shown: a traceback prints local variables.

    :param value: what must not be seen, of any type.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """Return the value, for the one place that needs it."""
        return self._value

    def texts(self) -> Iterator[str]:
        """Return every text and number in the value, as text: each is a secret by itself.

        With and without the white space around it, which is not sent.
        """
        with suppress(RecursionError):
            for text in _texts(self._value):
                yield text
                if text.strip() != text:
                    yield text.strip()

    def __repr__(self) -> str:
        return MASK


def conceal(value: Any) -> Any:
    """Wrap the secrets in what is going to be sent.

    :param value: what :func:`json.dumps` takes, or a mapping of any other kind.
    :return: a copy in which every value under a name of
        :data:`~airflow_provider_datafold.redaction.names.WRITE_ONLY`, at any depth, is a
        :class:`Secret`. Null stays null. What is nested too deeply, or holds itself, is wrapped as
        a whole: no check takes that.
    """
    try:
        return _concealed(value)
    except RecursionError:
        return Secret(value)


def _concealed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _wrapped(item) if key in WRITE_ONLY else _concealed(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_concealed(item) for item in value]
    return value


def _wrapped(value: Any) -> Any:
    is_plain = value is None or value is OMITTED or isinstance(value, Secret)
    return value if is_plain else Secret(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        # Python refuses to write integers of more than 4,300 digits.
        with suppress(ValueError):
            # A text as JSON writes it, whatever a subclass makes of it.
            yield str.__str__(value) if isinstance(value, str) else str(value)


def secrets_in(value: Any) -> Iterator[Secret]:
    """Find the secrets in a concealed value.

    :param value: what :func:`conceal` returned, or what no check takes.
    :return: every :class:`Secret` in it.
    """
    # Without recursion: an argument that no check has seen may be nested to any depth, or hold
    # itself.
    pending, seen = [value], set()
    while pending:
        found = pending.pop()
        if isinstance(found, Secret):
            yield found
        elif isinstance(found, (dict, list, tuple)) and id(found) not in seen:
            seen.add(id(found))
            pending.extend(found.values() if isinstance(found, dict) else found)


def encode(value: Any) -> Secret:
    """Write a body as JSON.

    :param value: a JSON value, in which a :class:`Secret` stands for what it holds.
    :return: the UTF-8 bytes of the JSON, wrapped.
    :raises DatafoldInputError: it holds NaN, Infinity, half a surrogate pair, or a type that JSON
        does not have.
    """
    # Raised outside of any handler: else the error would carry a context whose frames show the
    # value.
    with suppress(TypeError, ValueError, RecursionError):
        return Secret(_ENCODER.encode(value).encode())
    raise DatafoldInputError(
        "the body cannot be written as JSON: it holds NaN, Infinity, half a surrogate pair, or a "
        "type that JSON does not have. Nothing was sent."
    )


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError


_ENCODER = JSONEncoder(ensure_ascii=False, allow_nan=False, default=_revealed)
