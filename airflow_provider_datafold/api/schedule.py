"""The check of a cron expression."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_datafold.api.fields import format_value, input_error
from airflow_provider_datafold.exceptions import DatafoldInputError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\w+))?", re.ASCII)
_WANTED = (
    "must be a cron expression of five fields, e.g. '0 6 * * *' (minute, hour, day of month, "
    "month, day of week)"
)


def indexing_cron(field: str, value: Any) -> str:
    """Check the cron expression of an integration, like :func:`cron`."""
    return cron(field, value, f"{_WANTED}, or None for no schedule")


def cron(field: str, value: Any, wanted: str = _WANTED) -> str:
    """Check a cron expression.

    Datafold documents no cron dialect, so this accepts only what every cron knows: numbers, names,
    ranges, steps and lists.

    :param field: the field's name, for the error.
    :param value: a cron expression of five fields.
    :param wanted: what the error says of another value.
    :return: the expression, with single spaces between its fields.
    :raises DatafoldInputError: the value is anything else, or never matches a date.
    """
    parts = value.split() if isinstance(value, str) else []
    if len(parts) != len(_FIELDS):
        raise input_error(field, value, wanted)
    for part, (name, least, most, names) in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            if problem := _problem(item, least, most, names):
                raise DatafoldInputError(
                    f"{field}: {name} {problem} (in {format_value(value)}). Nothing was sent."
                )
    expression = " ".join(parts)
    # Only the day of the month can rule out every date, e.g. February 31.
    if parts[2] != "*" and not _matches_a_date(expression):
        raise input_error(field, value, "must match at least one date")
    return expression


def _problem(item: str, least: int, most: int, names: tuple[str, ...]) -> str | None:
    found = _ITEM.fullmatch(item)
    if not found:
        return f"{item!r} is not a number, a range or a step"
    *bounds, step = found.groups()
    numbers = [_number(bound, least, names) for bound in bounds if bound is not None]
    for bound, number in zip(bounds, numbers, strict=False):
        if number is None or not least <= number <= most:
            return f"{bound} is not in {least}-{most}"
    if step is not None and not (step.isdecimal() and 1 <= int(step[:4]) <= most):
        return f"step {step} is not in 1-{most}"
    return None


def _number(bound: str, least: int, names: tuple[str, ...]) -> int | None:
    if bound.isdecimal():
        return int(bound[:4])
    return names.index(bound.lower()) + least if bound.lower() in names else None


def _matches_a_date(cron: str) -> bool:
    # Slow to import, and not needed to parse a DAG.
    from croniter import CroniterError, croniter

    try:
        croniter(cron).get_next()
    except CroniterError:
        return False
    return True
