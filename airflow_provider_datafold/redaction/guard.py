"""Replace the message about a wrong value if it might show a secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.redactor import Redactor
from airflow_provider_datafold.redaction.secret import Secret, secrets_in

Checked = TypeVar("Checked")


def guarded(check: Callable[[], Checked], api_key: Secret, *values: Any) -> Checked:
    """Run a check, and replace the message of its error if it might show a part of a secret.

    :param check: the check.
    :param api_key: the API key.
    :param values: every value that the message may show a part of, concealed.
    :return: what the check returns.
    :raises DatafoldInputError: the check raised it.
    """
    try:
        return check()
    except DatafoldInputError as error:
        redactor = Redactor([api_key, *secrets_in(values)])
        if not redactor.finds_in(values):
            raise
        field = redactor.excerpt(str(error).partition(":")[0])
    # Not raised in the handler or in a context manager, where the replaced error would become its
    # context.
    raise DatafoldInputError(
        f"{field}: is wrong. Its value is not shown, because one of the values contains the API "
        f"key or another secret, or is too large to check for one. Secrets belong only in "
        f"connections. Nothing was sent."
    )
