"""Checks of single fields of a request, which also undo what templating did to them.

A field that comes out of a template is often not what the DAG's author meant: without native
rendering everything is a string (``'7'``, ``"[{'remoteId': '1', 'boundIds': [1]}]"``,
``'None'``), with native rendering the string ``"5"`` becomes the integer 5. Each function takes a
field's name, for the error, and what Airflow rendered. It returns what the API wants, or raises a
:class:`DatafoldInputError` that names the field, shows the value and says what it must be. None
of them does I/O.
"""

from __future__ import annotations

import ast
import json
import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, time
from numbers import Integral
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.secret import Secret

Check = Callable[[str, Any], Any]
"""Takes a field's name and a value."""

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?(e[+-]?[0-9]{1,3})?")
_SHA = re.compile(r"[0-9a-fA-F]{7,64}")
LARGEST = 2**63 - 1
"""The largest integer that a database keeps in 64 bits."""

_TEXTS = "must be a list of strings, e.g. ['a', 'b']"


def undo_none(value: Any) -> Any:
    """Turn the string that a template makes of a null param back into ``None``.

    :param value: a rendered, nullable field.
    :return: ``None`` for the string ``'None'``, otherwise the value itself.
    """
    return None if isinstance(value, str) and value.strip() == "None" else value


def positive_integer(field: str, value: Any) -> int:
    """Check a positive integer, such as an id.

    :param field: the field's name, for the error.
    :param value: a positive integer, or a string of digits such as ``"7"``.
    :return: an ``int`` from 1 to 2**63 - 1.
    :raises DatafoldInputError: the value is anything else.
    """
    number = _integer(value)
    if number is None or number < 1:
        raise input_error(field, value, 'must be a positive integer, e.g. 7 or "7"')
    return number


def integer(field: str, value: Any) -> int:
    """Check an integer of at most 64 bits.

    :param field: the field's name, for the error.
    :param value: an integer, or a string of digits such as ``"7"`` or ``"-7"``.
    :return: an ``int`` from -(2**63 - 1) to 2**63 - 1.
    :raises DatafoldInputError: the value is anything else.
    """
    number = _integer(value)
    if number is None:
        is_huge = isinstance(value, int) and not isinstance(value, bool)
        limit = " of at most 64 bits" if is_huge else ""
        raise input_error(field, value, f"must be an integer{limit}")
    return number


def between(least: int, most: int) -> Check:
    """Return a check for integers in a range.

    :param least: the smallest integer allowed.
    :param most: the largest integer allowed.
    :return: a check like the others in this module, which returns an ``int``.
    """

    def check(field: str, value: Any) -> int:
        number = _integer(value)
        if number is None or not least <= number <= most:
            raise input_error(field, value, f"must be an integer from {least} to {most}")
        return number

    return check


def number(field: str, value: Any) -> int | float:
    """Check a number.

    :param field: the field's name, for the error.
    :param value: an integer, a finite float, or a string such as ``"7"``, ``"0.5"`` or ``"1e-9"``.
    :return: an ``int`` or a finite ``float``.
    :raises DatafoldInputError: the value is anything else.
    """
    if _is_number(value):
        return value if isinstance(value, float) else integer(field, value)
    if isinstance(value, str) and _NUMBER.fullmatch(stripped := value.strip().lower()):
        if stripped.removeprefix("-").isdecimal():
            return integer(field, stripped)
        if math.isfinite(found := float(stripped)):
            return found
    raise input_error(field, value, "must be a finite number")


def positive_number(field: str, value: Any) -> int | float:
    """Check a number above 0.

    :param field: the field's name, for the error.
    :param value: as for :func:`number`.
    :return: a number above 0.
    :raises DatafoldInputError: the value is anything else.
    """
    found = number(field, value)
    if found <= 0:
        raise input_error(field, value, "must be a number above 0")
    return found


def share(field: str, value: Any) -> int | float:
    """Check a ratio.

    :param field: the field's name, for the error.
    :param value: as for :func:`number`.
    :return: a number from 0 to 1.
    :raises DatafoldInputError: the value is anything else.
    """
    found = number(field, value)
    if not 0 <= found <= 1:
        raise input_error(field, value, "must be a number from 0 to 1")
    return found


def boolean(field: str, value: Any) -> bool:
    """Check a boolean.

    :param field: the field's name, for the error.
    :param value: ``True``, ``False``, or one of the strings ``"true"`` and ``"false"``, in any
        case.
    :return: a ``bool``.
    :raises DatafoldInputError: the value is anything else.
    """
    if isinstance(value, bool):
        return value
    known = {"true": True, "false": False}
    if isinstance(value, str) and value.strip().lower() in known:
        return known[value.strip().lower()]
    raise input_error(field, value, "must be true or false")


def text(field: str, value: Any) -> str:
    """Check a string.

    :param field: the field's name, for the error.
    :param value: a string without NUL, or the number that native rendering made of one.
    :return: a ``str`` that UTF-8 can encode.
    :raises DatafoldInputError: the value is anything else.
    """
    if isinstance(value, str) and "\0" not in value:
        with suppress(UnicodeEncodeError):
            value.encode()
            # The str() of a subclass may be something else, such as the name of an Enum's member.
            return str.__str__(value)
        raise input_error(field, value, "must be a string without lone surrogates")
    if _is_number(value):
        return str(number(field, value))
    raise input_error(field, value, "must be a string without NUL characters")


def texts(field: str, value: Any) -> list[str]:
    """Check a list of strings.

    :param field: the field's name, for the error.
    :param value: a sequence of strings, or such a list as JSON or as a Python literal.
    :return: a list of strings.
    :raises DatafoldInputError: the value is anything else; the error names the place, e.g.
        ``project_ids[0]``.
    """
    items = sequence(field, value, _TEXTS)
    return [text(f"{field}[{index}]", item) for index, item in enumerate(items)]


def optional(check: Check) -> Check:
    """Return a check that also takes ``None``, in any form.

    :param check: the check of any other value.
    """
    return lambda field, value: None if undo_none(value) is None else check(field, value)


def date_time(field: str, value: Any) -> str:
    """Check a date and time.

    :param field: the field's name, for the error.
    :param value: a :class:`~datetime.datetime` with a time zone, or an ISO 8601 string with one.
    :return: an ISO 8601 string, such as ``"2024-01-31T06:00:00+00:00"``.
    :raises DatafoldInputError: the value is anything else.
    """
    found = value
    if isinstance(value, str):
        with suppress(ValueError):
            found = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", value.strip()))
    if isinstance(found, datetime) and found.tzinfo is not None:
        return found.isoformat()
    raise input_error(
        field, value, "must be a date and time with a time zone, e.g. 2024-01-31T06:00:00+00:00"
    )


def time_of_day(field: str, value: Any) -> str:
    """Check a time of day.

    :param field: the field's name, for the error.
    :param value: an ISO 8601 string. YAML reads an unquoted one as a number.
    :return: the string without surrounding white space.
    :raises DatafoldInputError: the value is anything else.
    """
    if isinstance(value, str):
        with suppress(ValueError):
            time.fromisoformat(re.sub("[Zz]$", "+00:00", value.strip()))
            return value.strip()
    raise input_error(field, value, "must be a time of day in quotes, e.g. '06:30:00'")


def one_of(*choices: str | int) -> Check:
    """Return a check for a value that must be one of a few.

    :param choices: the strings or integers to choose from.
    :return: a check like the others in this module, which returns the choice. A string of digits
        matches an integer.
    """

    def check(field: str, value: Any) -> str | int:
        for choice in choices:
            if isinstance(choice, int):
                is_meant = _integer(value) == choice
            else:
                is_meant = isinstance(value, str) and value == choice
            if is_meant:
                return choice
        raise input_error(field, value, f"must be one of {', '.join(map(repr, choices))}")

    return check


def secret(field: str, value: Any) -> Secret:
    """Check a secret. The error never shows its value.

    :param field: the field's name, for the error.
    :param value: a non-empty string, wrapped.
    :return: the string without surrounding white space, wrapped: a secret that was read from a
        file often ends in a line break.
    :raises DatafoldInputError: it is empty, or not a string.
    """
    if isinstance(value, Secret) and isinstance(value.reveal(), str) and value.reveal().strip():
        return Secret(value.reveal().strip())
    raise DatafoldInputError(f"{field}: must be a non-empty string. Nothing was sent.")


def name(field: str, value: Any) -> str:
    """Check a name.

    :param field: the field's name, for the error.
    :param value: a string that is not empty, or the number that native rendering made of one.
    :return: the string without surrounding white space.
    :raises DatafoldInputError: the value is anything else, or the string ``'None'``, which a
        template makes of a null param.
    """
    found = text(field, value).strip()
    if found in ("", "None"):
        raise input_error(field, value, "must be a name")
    return found


def sha(field: str, value: Any) -> str:
    """Check the sha of a commit.

    :param field: the field's name, for the error.
    :param value: 7 to 64 hexadecimal digits; native rendering turns some shas into integers.
    :return: a string without surrounding white space.
    :raises DatafoldInputError: the value is anything else.
    """
    with suppress(ValueError):  # Python makes no text of a huge integer.
        if _SHA.fullmatch(found := str(value).strip()):
            return found
    raise input_error(field, value, "must be a commit's sha, 7 to 64 hexadecimal digits")


def mapping(field: str, value: Any) -> Mapping[str, Any]:
    """Check an object that has fields.

    :param field: the object's name, for the error.
    :param value: a mapping, or a dictionary as JSON or as a Python literal.
    :return: a mapping whose fields are not checked yet.
    :raises DatafoldInputError: the value is anything else. The error does not show it: it may hold
        a secret.
    """
    if isinstance(value, Secret):
        raise DatafoldInputError(
            f"{field}: is nested too deeply, or contains itself. Nothing was sent."
        )
    found = literal(value)
    if isinstance(found, Mapping):
        return found
    raise DatafoldInputError(
        f"{field}: must be an object, not a value of type {type(value).__name__}. Nothing was sent."
    )


def sequence(field: str, value: Any, wanted: str = "must be a list") -> Sequence[Any]:
    """Check a list.

    :param field: the field's name, for the error.
    :param value: a sequence, or a list as JSON or as a Python literal.
    :param wanted: the error's text, e.g. ``"must be a list of strings"``.
    :return: a sequence, never a string, whose items are not checked yet.
    :raises DatafoldInputError: the value is anything else.
    """
    found = literal(value)
    if isinstance(found, (str, bytes, bytearray)) or not isinstance(found, Sequence):
        raise input_error(field, value, wanted)
    return found


def each_checked(checks: Mapping[str, Check], values: Mapping[str, Any]) -> dict[str, Any]:
    """Check several values.

    :param checks: a check for each, by its name.
    :param values: the values by name; those without a check are left out.
    :return: what the checks return, by name.
    :raises DatafoldInputError: a value is wrong.
    """
    return {name: check(name, values[name]) for name, check in checks.items()}


def literal(value: Any) -> Any:
    """Parse a string that holds JSON or a Python literal.

    :param value: any value.
    :return: the parsed value; the value itself if it is not such a string.
    """
    if not isinstance(value, str):
        return value
    for parse in (json.loads, ast.literal_eval):
        # A template of several lines leaves an indent, which a Python literal must not have.
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return parse(value.strip())
    return value


def input_error(field: str, value: Any, wanted: str) -> DatafoldInputError:
    """Return the error for a wrong value.

    :param field: the field's name.
    :param value: the value.
    :param wanted: what it must be, e.g. ``"must be a list"``.
    """
    kind = type(value).__name__
    return DatafoldInputError(
        f"{field}: {wanted}, not {format_value(value)} ({kind}). Nothing was sent."
    )


def format_value(value: Any) -> str:
    """Return the repr of a value, cut if it is long."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        # Python refuses to write integers of more than 4,300 digits.
        return "an integer of thousands of digits"


def _integer(value: Any) -> int | None:
    """Return a value or a string of digits as an ``int``, ``None`` for anything else."""
    if isinstance(value, str) and _INTEGER.fullmatch(stripped := value.strip()):
        value = int(stripped)
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        return number if abs(number) <= LARGEST else None
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxtuple = 4
_SHORT.maxlevel = 4
