"""The check of a cron expression."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_datafold.api.fields import format_value, input_error
from airflow_provider_datafold.exceptions import DatafoldInputError

_ITEM = r"(\*|(\d+|[a-z]{3})(-(\d+|[a-z]{3}))?)(/\d+)?"
_FIELD = f"{_ITEM}(,{_ITEM})*"
# Datafold documents no dialect, so this is only what every cron knows.
_EXPRESSION = re.compile(f"{_FIELD}( {_FIELD}){{4}}", re.ASCII | re.IGNORECASE)
_WANTED = (
    "must be a cron expression of five fields, e.g. '0 6 * * *' (minute, hour, day of month, "
    "month, day of week)"
)


def indexing_cron(field: str, value: Any) -> str:
    """Check the cron expression of an integration, like :func:`cron`."""
    return cron(field, value, f"{_WANTED}, or None for no schedule")


def cron(field: str, value: Any, wanted: str = _WANTED) -> str:
    """Check a cron expression of numbers, names, ranges, steps and lists that matches a date."""
    # Slow to import, and not needed to parse a DAG.
    from croniter import CroniterError, croniter

    expression = " ".join(value.split()) if isinstance(value, str) else ""
    if not _EXPRESSION.fullmatch(expression):
        raise input_error(field, value, wanted)
    try:
        croniter(expression).get_next()
    except CroniterError as error:
        raise DatafoldInputError(
            f"{field}: {format_value(value)} is not a valid cron expression ({error}). "
            f"Nothing was sent."
        ) from None
    return expression
