"""A secret value that no frame, log or repr shows before it is encoded for sending."""

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
"""Shorter secrets are not replaced inside longer strings: that would make most of them
unreadable."""


class Secret:
    """Holds a secret. Its repr is ``***``, because a traceback may print local variables.

    :param value: the secret, of any type.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """Return the value."""
        return self._value

    def texts(self) -> Iterator[str]:
        """Return every string and number in the value, as strings: each is a secret by itself.

        A string with surrounding white space comes in both forms, because it is sent without.
        """
        with suppress(RecursionError):
            for text in _texts(self._value):
                yield text
                if text.strip() != text:
                    yield text.strip()

    def __repr__(self) -> str:
        return MASK


def conceal(value: Any, name: str = "") -> Any:
    """Wrap the secrets in a value that is going to be sent.

    :param value: anything that :func:`json.dumps` accepts, or another kind of mapping.
    :param name: of the field that holds the value, if there is one.
    :return: a copy in which every value under a name in
        :data:`~airflow_provider_datafold.redaction.names.WRITE_ONLY`, at any depth, is a
        :class:`Secret`. Null stays null. A value that is nested too deeply, or contains itself, is
        wrapped as a whole: every check refuses that.
    """
    try:
        return _field(name, value)
    except RecursionError:
        return Secret(value)


def _concealed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _field(key, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_concealed(item) for item in value]
    return value


def _field(name: Any, value: Any) -> Any:
    if name not in WRITE_ONLY:
        return _concealed(value)
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
            # JSON writes the plain string, even if a subclass has another str().
            yield str.__str__(value) if isinstance(value, str) else str(value)


def secrets_in(value: Any) -> Iterator[Secret]:
    """Find the secrets in a concealed value.

    :param value: the result of :func:`conceal`, or a value that no check has seen.
    :return: every :class:`Secret` in it.
    """
    # Without recursion: a value that no check has seen may be nested to any depth, or contain
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
    """Encode a body as JSON.

    :param value: a JSON value, in which a :class:`Secret` stands for its value.
    :return: the JSON as UTF-8 bytes, wrapped.
    :raises DatafoldInputError: it contains NaN, Infinity, a lone surrogate, or a type that JSON
        does not have.
    """
    # Not raised in a handler, where its context would have frames that show the value.
    with suppress(TypeError, ValueError, RecursionError):
        return Secret(_ENCODER.encode(value).encode())
    raise DatafoldInputError(
        "the body cannot be encoded as JSON: it contains NaN, Infinity, a lone surrogate, or a "
        "type that JSON does not have. Nothing was sent."
    )


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError


_ENCODER = JSONEncoder(ensure_ascii=False, allow_nan=False, default=_revealed)
