"""Keeps back a message about a wrong value where it might show a secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.redactor import Redactor


@contextmanager
def no_secret_shown(redactor: Redactor, *values: Any) -> Iterator[None]:
    """Replace the message of a :class:`DatafoldInputError` that may show a part of a secret.

    :param redactor: knows the secrets.
    :param values: everything that the message may show a part of.
    """
    try:
        yield
    except DatafoldInputError as error:
        if redactor.finds_in(values):
            kept_back = redactor.shown(str(error).partition(":")[0])
            # In place: another error would have this one, and its text, as its context.
            error.args = (
                f"{kept_back}: is wrong, and is not shown because one of the values holds the API "
                f"key or another secret. Secrets belong in connections only. Nothing was sent.",
            )
        raise
