"""Keeps back a message about a wrong value where it might show a secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.redactor import Redactor

Checked = TypeVar("Checked")


def guarded(check: Callable[[], Checked], redactor: Redactor, *values: Any) -> Checked:
    """Run a check, and replace the message of its error where it may show a part of a secret.

    :param check: the check.
    :param redactor: knows the secrets.
    :param values: everything that the message may show a part of.
    :return: what the check returns.
    :raises DatafoldInputError: the check raised it.
    """
    try:
        return check()
    except DatafoldInputError as error:
        if not redactor.finds_in(values):
            raise
        field = redactor.shown(str(error).partition(":")[0])
    # Raised out here, and not by a context manager: else the error that it replaces would be its
    # context.
    raise DatafoldInputError(
        f"{field}: is wrong, and is not shown because one of the values holds the API key or "
        f"another secret, or is too large to tell. Secrets belong in connections only. Nothing was "
        f"sent."
    )
