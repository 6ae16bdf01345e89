"""Check single fields of a request, and undo what templating did to them.

A field that comes out of a template is often not what the DAG's author meant: without native
rendering everything is text (``'7'``, ``"[{'remoteId': '1', 'boundIds': [1]}]"``, ``'None'``),
with native rendering the text ``"5"`` is the integer 5. Each function takes what Airflow
rendered and gives what the API wants, or raises :class:`DatafoldInputError` that names the
field, shows the value and says what is wanted. None of them does I/O.
"""

from __future__ import annotations

import ast
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError

_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_PATH = re.compile(r"/[!-~]*", re.ASCII)
_RANDOM = re.compile(r"(?<![a-z])r(?![a-z])", re.IGNORECASE)

_WANTED_BINDINGS = "a list like [{'remoteId': '1', 'boundIds': [1, 2]}]"
_WANTED_CRON = (
    "a cron expression of five fields such as '0 6 * * *' (minute, hour, day of month, month, "
    "day of week), or None for no schedule"
)


def undo_none(value: Any) -> Any:
    """Turn the text that a template makes of a null param back into null.

    :param value: a rendered, nullable field.
    :return: ``None`` for the text ``'None'``, else the value itself.
    """
    return None if isinstance(value, str) and value.strip() == "None" else value


def positive_integer(field: str, value: Any) -> int:
    """Check an id.

    :param field: the field's name, for the error.
    :param value: a positive integer, or its decimal text.
    :return: the integer.
    :raises DatafoldInputError: it is something else.
    """
    number = _integer(value)
    if number is None or number < 1:
        raise _wrong(field, value, "a positive integer such as 7, or its text")
    return number


def path(field: str, value: Any) -> str:
    """Check a path on the service's host, which must not lead to another host.

    :param field: the field's name, for the error.
    :param value: a text of printable ASCII that begins with a slash.
    :return: the path.
    :raises DatafoldInputError: it is something else.
    """
    if isinstance(value, str) and _PATH.fullmatch(value):
        return value
    raise _wrong(field, value, "a path such as '/api/v1/lineage/bi/'")


def mapping(field: str, value: Any) -> Mapping[str, Any]:
    """Check an object that has fields.

    :param field: its own name, for the error.
    :param value: a mapping.
    :return: the mapping.
    :raises DatafoldInputError: it is something else.
    """
    if isinstance(value, Mapping):
        return value
    # Not shown: a text, say, may hold what would be a secret field of the object.
    raise DatafoldInputError(
        f"{field}: is of type {type(value).__name__}; wanted: an object like "
        f"{{'indexing_cron': '0 6 * * *'}}. Nothing was sent."
    )


def secret(field: str, value: Any) -> str:
    """Check a secret, without ever showing it.

    :param field: the field's name, for the error.
    :param value: a text.
    :return: the text without the white space around it: secrets that come out of files end in
        a line break more often than not.
    :raises DatafoldInputError: it is empty, or no text.
    """
    stripped = value.strip() if isinstance(value, str) else ""
    if not stripped:
        raise DatafoldInputError(f"{field}: is empty or no text. Nothing was sent.")
    return stripped


def text(field: str, value: Any) -> str:
    """Check a text.

    :param field: the field's name, for the error.
    :param value: a text, or the number that native rendering made of one.
    :return: the text.
    :raises DatafoldInputError: it is something else.
    """
    if isinstance(value, str):
        return value
    if _is_number(value):
        return str(value)
    raise _wrong(field, value, "a text")


def integer(field: str, value: Any) -> int:
    """Check an integer.

    :param field: the field's name, for the error.
    :param value: an integer, or its decimal text.
    :return: the integer.
    :raises DatafoldInputError: it is something else.
    """
    number = _integer(value)
    if number is None:
        raise _wrong(field, value, "an integer")
    return number


def texts(field: str, value: Any) -> list[str]:
    """Check a list of texts.

    :param field: the field's name, for the error.
    :param value: a sequence of texts, or the JSON text or the Python repr of such a list.
    :return: a list of texts.
    :raises DatafoldInputError: it is something else; the error names the place, as
        ``project_ids[0]``.
    """
    items = _sequence(field, value, "a list like ['a', 'b']")
    return [text(f"{field}[{index}]", item) for index, item in enumerate(items)]


def one_of(*choices: str) -> Callable[[str, Any], str]:
    """Make a check of a choice.

    :param choices: the texts to choose from.
    :return: a check like the others in this module, which gives the text.
    """

    def check(field: str, value: Any) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise _wrong(field, value, f"one of {', '.join(map(repr, choices))}")

    return check


def indexing_cron(field: str, value: Any) -> str:
    """Check a schedule.

    :param field: the field's name, for the error.
    :param value: a cron expression of five fields.
    :return: the expression with single spaces between its fields.
    :raises DatafoldInputError: it is something else.
    """
    if not isinstance(value, str):
        raise _wrong(field, value, _WANTED_CRON)
    # Slow to import, and not needed to parse a DAG.
    from croniter import croniter

    parts = value.split()
    cron = " ".join(parts)
    # croniter alone would also take seconds, years, '@daily', and R for a random time, which is
    # another one each time that it is read.
    if len(parts) != 5 or _RANDOM.search(cron) or not cron.isascii() or not croniter.is_valid(cron):
        raise _wrong(field, value, _WANTED_CRON)
    return cron


def bindings(field: str, value: Any) -> list[dict[str, Any]]:
    """Check what an integration is bound to.

    :param field: the field's name, for the error.
    :param value: a sequence of mappings with ``remoteId`` (text) and ``boundIds`` (sequence of
        integers), or the JSON text or the Python repr of such a list. Other keys of an entry
        are not part of the API's contract and are left out.
    :return: a list of dictionaries with just these two keys.
    :raises DatafoldInputError: it is something else; the error names the place, as
        ``bindings[0].boundIds[1]``.
    """
    entries = _sequence(field, value, _WANTED_BINDINGS)
    return [_binding(f"{field}[{index}]", entry) for index, entry in enumerate(entries)]


def shown(value: Any) -> str:
    """Show a value in a message.

    :param value: any value.
    :return: its repr, of limited length.
    """
    return _SHORT.repr(value)


def _binding(field: str, value: Any) -> dict[str, Any]:
    entry = _literal(value)
    if not isinstance(entry, Mapping):
        raise _wrong(field, value, "an object with remoteId and boundIds")
    for key in ("remoteId", "boundIds"):
        if key not in entry:
            raise _wrong(f"{field}.{key}", entry, "an entry that has it", found="is missing in")
    bound_ids = _sequence(f"{field}.boundIds", entry["boundIds"], "a list of integers")
    return {
        "remoteId": text(f"{field}.remoteId", entry["remoteId"]),
        "boundIds": [
            integer(f"{field}.boundIds[{index}]", bound_id)
            for index, bound_id in enumerate(bound_ids)
        ],
    }


def _sequence(field: str, value: Any, wanted: str) -> Iterable[Any]:
    literal = _literal(value)
    if isinstance(literal, (str, bytes, bytearray)) or not isinstance(literal, Sequence):
        raise _wrong(field, value, wanted)
    return literal


def _literal(value: Any) -> Any:
    """Parse the JSON text or the Python repr of a value; leave all else as it is."""
    if not isinstance(value, str):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            # Without the indent that a template of several lines leaves.
            return parse(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return value


def _integer(value: Any) -> int | None:
    """Give the integer that a value is or spells, ``None`` where it does neither."""
    if isinstance(value, str):
        stripped = value.strip()
        return int(stripped) if _INTEGER.fullmatch(stripped) else None
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _wrong(field: str, value: Any, wanted: str, found: str = "is") -> DatafoldInputError:
    kind = type(value).__name__
    return DatafoldInputError(
        f"{field}: {found} {shown(value)} ({kind}); wanted: {wanted}. Nothing was sent."
    )


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxtuple = 4
_SHORT.maxlevel = 4
