"""Checks of single fields of a request, which also undo what templating did to them.

A field that comes out of a template is often not what the DAG's author meant: without native
rendering everything is a string (``'7'``, ``"[{'remoteId': '1', 'boundIds': [1]}]"``,
``'None'``), with native rendering the string ``"5"`` becomes the integer 5. Each check takes a
field's name and what Airflow rendered. It returns what the API wants, or raises a
:class:`DatafoldInputError` that names the field, shows the value and says what it must be.
"""

from __future__ import annotations

import ast
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, time, timezone
from functools import partial
from numbers import Integral
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.secret import Secret

Check = Callable[[str, Any], Any]
"""Takes a field's name and a value."""

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHA = re.compile(r"[0-9a-fA-F]{7,64}")
LARGEST = 2**63 - 1
"""The largest integer that a database keeps in 64 bits."""

_MOST_NAMES = 10

_TEXTS = "must be a list of strings, e.g. ['a', 'b']"
# Compiled when they are first used: a DAG file that is parsed needs none of these.
_TEMPLATE = r"\{[{%#]"
_NAME = (
    "must be a name, a string that is not blank (native rendering turns a name like a number into "
    "that number)"
)
_PART = r"""(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|[^."`\s][^."`]*)"""
_PATH = rf"{_PART}(?:\.{_PART})*"
_METHOD = r"[A-Za-z]{1,20}"
_URL_PATH = r"/[!-\"$-~]*"
_DOTS = r"/(?:\.|%2[eE]){1,2}(?=[/?]|$)"
_CRON_ITEM = r"(\*|(\d+|[a-z]{3})(-(\d+|[a-z]{3}))?)(/\d+)?"
_CRON_FIELD = f"{_CRON_ITEM}(,{_CRON_ITEM})*"
# Datafold documents no dialect, so this is only what every cron knows.
_CRON = f"{_CRON_FIELD}( {_CRON_FIELD}){{4}}"
_CRON_WANTED = (
    "must be a cron expression of five fields, e.g. '0 6 * * *' (minute, hour, day of month, "
    "month, day of week)"
)


def undo_none(value: Any) -> Any:
    """Turn the string ``'None'``, which a template makes of a null param, back into ``None``."""
    return None if isinstance(value, str) and value.strip() == "None" else value


def positive_integer(field: str, value: Any) -> int:
    """Check a positive integer such as an id, e.g. ``7`` or ``"7"``."""
    number = _integer(value)
    if number is None or number < 1:
        raise input_error(field, value, 'must be a positive integer, e.g. 7 or "7"')
    return number


def integer(field: str, value: Any) -> int:
    """Check an integer of at most 64 bits, e.g. ``-7`` or ``"-7"``."""
    number = _integer(value)
    if number is None:
        raise input_error(field, value, "must be an integer")
    return number


def between(least: int, most: int) -> Check:
    """Return a check for integers in a range, ends included."""

    def check(field: str, value: Any) -> int:
        number = _integer(value)
        if number is None or not least <= number <= most:
            raise input_error(field, value, f"must be an integer from {least} to {most}")
        return number

    return check


def number(field: str, value: Any) -> int | float:
    """Check a finite number, e.g. ``7``, ``"0.5"`` or ``"1e-9"``."""
    found = literal(value)
    if _is_number(found):
        return found  # type: ignore[no-any-return]
    raise input_error(field, value, "must be a finite number")


def positive_number(field: str, value: Any) -> int | float:
    """Check a number above 0."""
    found = number(field, value)
    if found <= 0:
        raise input_error(field, value, "must be a number above 0")
    return found


def share(field: str, value: Any) -> int | float:
    """Check a ratio, a number from 0 to 1."""
    found = number(field, value)
    if not 0 <= found <= 1:
        raise input_error(field, value, "must be a number from 0 to 1")
    return found


def boolean(field: str, value: Any) -> bool:
    """Check a boolean, which may be the string ``"true"`` or ``"false"`` in any case."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "false": False}
    if isinstance(value, str) and value.strip().lower() in known:
        return known[value.strip().lower()]
    raise input_error(field, value, "must be true or false")


def text(field: str, value: Any) -> str:
    """Check a string; it may be the number that native rendering made of one."""
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise input_error(field, value, "must be a string of valid Unicode")
        # The str() of a subclass may be something else, such as the name of an Enum's member.
        return str.__str__(value)
    if _is_number(value):
        return str(value)
    raise input_error(field, value, "must be a string")


def texts(field: str, value: Any) -> list[str]:
    """Check a list of strings."""
    items = sequence(field, value, _TEXTS)
    return [text(f"{field}[{index}]", item) for index, item in enumerate(items)]


def optional(check: Check) -> Check:
    """Return a check that also takes ``None``, in any form."""
    return lambda field, value: None if undo_none(value) is None else check(field, value)


def date_time(field: str, value: Any) -> str:
    """Check a date and time with a time zone, and return it as an ISO 8601 string."""
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
    """Check a time of day, an ISO 8601 string. YAML reads an unquoted one as a number."""
    if isinstance(value, str):
        with suppress(ValueError):
            time.fromisoformat(re.sub("[Zz]$", "+00:00", value.strip()))
            return value.strip()
    raise input_error(field, value, "must be a time of day in quotes, e.g. '06:30:00'")


def one_of(*choices: str | int) -> Check:
    """Return a check for a value that must be one of a few strings or integers."""

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
    """Check a secret, which is sent without the white space around it and never shown."""
    if isinstance(value, Secret) and isinstance(value.reveal(), str) and value.reveal().strip():
        return Secret(value.reveal().strip())
    raise DatafoldInputError(f"{field}: must be a non-empty string. Nothing was sent.")


def name(field: str, value: Any) -> str:
    """Check a name: not empty, nor ``'None'``; it is sent without the white space around it."""
    found = text(field, value).strip()
    if found in ("", "None"):
        raise input_error(field, value, "must be a name")
    return found


def sha(field: str, value: Any) -> str:
    """Check the sha of a commit; native rendering turns some shas into integers."""
    if _SHA.fullmatch(found := str(value).strip()):
        return found
    raise input_error(field, value, "must be a commit's sha, 7 to 64 hexadecimal digits")


def mapping(field: str, value: Any) -> Mapping[str, Any]:
    """Check that a value, or the text of one, is an object. The error does not show it."""
    found = literal(value)
    if isinstance(found, Mapping):
        return found
    raise DatafoldInputError(
        f"{field}: must be an object, not a value of type {type(value).__name__}. Nothing was sent."
    )


def sequence(field: str, value: Any, wanted: str = "must be a list") -> Sequence[Any]:
    """Check that a value, or the text of one, is a list; its items are not checked yet."""
    found = literal(value)
    if isinstance(found, (str, bytes, bytearray)) or not isinstance(found, Sequence):
        raise input_error(field, value, wanted)
    return found


def each_checked(checks: Mapping[str, Check], values: Mapping[str, Any]) -> dict[str, Any]:
    """Check several values by name; those without a check are left out."""
    return {name: check(name, values[name]) for name, check in checks.items()}


def literal(value: Any) -> Any:
    """Parse a string that holds JSON or a Python literal; anything else stays as it is."""
    if not isinstance(value, str):
        return value
    for parse in (json.loads, ast.literal_eval):
        # A template of several lines leaves an indent, which a Python literal must not have.
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return parse(value.strip())
    return value


def http_method(field: str, value: Any) -> str:
    """Check an HTTP method in any case, and return it in capital letters."""
    if isinstance(value, str) and re.fullmatch(_METHOD, value):
        return value.upper()
    raise input_error(field, value, "must be an HTTP method, e.g. 'GET'")


def path(field: str, value: Any) -> str:
    """Check a path on the service's host, so that no request goes to another host or path."""
    if isinstance(value, str) and re.fullmatch(_URL_PATH, value) and not re.search(_DOTS, value):
        return value
    raise input_error(
        field, value, "must be a path that begins with '/' and has no '..', e.g. '/api/v1/monitors'"
    )


def path_part(field: str, value: Any) -> str:
    """Check one part of a path: HTTP clients would collapse ``.`` and ``..``."""
    part = text(field, value)
    if part in ("", ".", ".."):
        raise input_error(field, value, "must not be empty, '.' or '..'")
    return part


def names(field: str, value: Any) -> list[str]:
    """Check a list of names, none of them blank or a number.

    With native rendering, the number 202401 would have been the name ``2024_01``.
    """
    items = sequence(field, value, "must be a list of strings, e.g. ['a', 'b']")
    for index, item in enumerate(items):
        if not isinstance(item, str) or not item.strip():
            raise input_error(f"{field}[{index}]", item, _NAME)
    return texts(field, items)


def is_template(value: Any) -> bool:
    """Return whether Airflow would take a value, or something in it, for a template."""
    return bool(re.search(_TEMPLATE, str(value)))


def _path(example: str, field: str, value: Any) -> list[str]:
    """Check a path: a list of parts, also as a literal, or a string with dots between them.

    In the string a part may be quoted with ``"`` or `````: dots inside the quotes do not separate
    parts, and the quote itself is doubled.
    """
    # A table's name may look like another literal: 'true', or '1.5'.
    spelled = literal(value)
    if isinstance(spelled, Sequence) and spelled and not isinstance(spelled, str):
        return names(field, spelled)
    is_dotted = isinstance(value, str) and not isinstance(spelled, (dict, set, list, tuple))
    if is_dotted and re.fullmatch(_PATH, value.strip()):
        return [_unquoted(part) for part in re.findall(_PART, value.strip())]
    raise input_error(
        field,
        value,
        f"must be a list of path parts or a dotted string, e.g. {example.split('.')} or "
        f"{example!r} (quote a part that contains a dot: 'DB.\"my.table\"')",
    )


def _unquoted(part: str) -> str:
    quote = part[0]
    if quote not in '"`':
        return part.strip()
    return part[1:-1].replace(quote * 2, quote)


table_path: Check = partial(_path, "DB.SCHEMA.TABLE")
schema_path: Check = partial(_path, "DB.SCHEMA")


def indexing_cron(field: str, value: Any) -> str:
    """Check the cron expression of an integration, like :func:`cron`."""
    return cron(field, value, f"{_CRON_WANTED}, or None for no schedule")


def cron(field: str, value: Any, wanted: str = _CRON_WANTED) -> str:
    """Check a cron expression of numbers, names, ranges, steps and lists that matches a date."""
    # Slow to import, and not needed to parse a DAG.
    from croniter import CroniterError, croniter

    expression = " ".join(value.split()) if isinstance(value, str) else ""
    if not re.fullmatch(_CRON, expression, re.ASCII | re.IGNORECASE):
        raise input_error(field, value, wanted)
    try:
        croniter(expression).get_next()
    except CroniterError as error:
        raise DatafoldInputError(
            f"{field}: {format_value(value)} is not a valid cron expression ({error}). "
            f"Nothing was sent."
        ) from None
    return expression


def near(name: Any, known: Iterable[str], most: int = 1) -> list[str]:
    """Return the known names that somebody may have meant, the nearest first, in any case."""
    # Slow to import, and not needed to parse a DAG.
    from difflib import get_close_matches

    spelled = {each.casefold(): each for each in known}
    return [spelled[each] for each in get_close_matches(str(name).casefold(), spelled, most)]


def moment(value: Any) -> datetime | None:
    """Read an ISO 8601 date and time, ``None`` if it is none; without a zone it is in UTC."""
    try:
        # Before Python 3.11, fromisoformat does not accept the letter Z.
        found = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", str(value).strip()))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def input_error(field: str, value: Any, wanted: str) -> DatafoldInputError:
    """Return the error for a wrong value, with what is wanted, e.g. ``"must be a list"``."""
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


def format_names(names: Sequence[str]) -> str:
    """Join names for an error or the log, which shows the first if there are many."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


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
