"""Keep secrets out of the error about a wrong value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.redactor import Redactor
from airflow_provider_datafold.redaction.secret import Secret, secrets_in

Checked = TypeVar("Checked")


def guarded(check: Callable[[], Checked], api_key: Secret, *values: Any) -> Checked:
    """Run a check of concealed values, whose error then shows neither a secret nor its frames."""
    try:
        return check()
    except DatafoldInputError as error:
        said = Redactor([api_key, *secrets_in(values)]).text(str(error))
    raise DatafoldInputError(said)
