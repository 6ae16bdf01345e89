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
    kept_back = None
    try:
        yield
    except DatafoldInputError as error:
        if not redactor.finds_in(values):
            raise
        kept_back = redactor.shown(str(error).partition(":")[0])
    if kept_back is not None:
        message = DatafoldInputError(
            f"{kept_back}: is wrong, and is not shown because one of the values holds the API key "
            f"or another secret. Secrets belong in connections only. Nothing was sent."
        )
        try:
            raise message
        finally:
            # The with statement would have the message that was kept back be the context.
            message.__context__ = None
