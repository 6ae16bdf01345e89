"""Where a file or a folder is that an argument names: on the worker, or in a bucket."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldInputError,
    DatafoldTransientError,
)
from airflow_provider_datafold.redaction.secret import Secret

_FINAL = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ImportError,
    ValueError,
)
"""What a retry does not change, even if the file is in a bucket."""

_SHORTEST_SIGNATURE = 16
_PASSWORD = re.compile(r"(?<=://)([^/:@]*):(.*)@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)


def is_url(place: str) -> bool:
    """Return whether a place is a URL, and not a path on the worker."""
    return "://" in place


def object_at(place: str) -> Any:
    """Return Airflow's ``ObjectStoragePath`` of a URL."""
    # Slow to import.
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(place)


def display(place: str) -> str:
    """Return a path or URL without what may be a secret: a query, a password."""
    if not is_url(place):
        return place
    return _PASSWORD.sub(r"\1:***@", _QUERY.sub("", place))


def unreadable(field: str, place: str, error: Exception) -> DatafoldError:
    """Return the error for what cannot be read."""
    kind = type(error).__name__
    if not is_url(place):
        why = getattr(error, "strerror", None) or kind
        found = os.path.abspath(os.path.expanduser(place))
        where = "" if found == place else f" at {found}"
        return input_error(
            field,
            place,
            f"cannot be read{where} ({why}). A plain path is a file of the worker that runs the "
            f"task; a file in a bucket needs its URL, e.g. s3://aws_default@bucket/manifest.json",
        )
    if isinstance(error, _FINAL):
        return input_error(
            field,
            place,
            f"cannot be read ({kind}). Check the URL, the Airflow connection that it names, and "
            f"that this Airflow has the provider for its scheme",
        )
    return DatafoldTransientError(
        f"{field}: {display(place)} cannot be read ({kind}). If that stays, check the URL and the "
        f"Airflow connection that it names. Nothing was sent."
    )


def input_error(field: str, place: str, what: str) -> DatafoldInputError:
    """Return the error for what can be read, and is of no use."""
    return DatafoldInputError(f"{field}: {display(place)} {what}. Nothing was sent.")


def secrets_in(place: str) -> Iterator[Secret]:
    """Find what must not be logged by a library that opens a URL."""
    if not is_url(place):
        return
    for password in _PASSWORD.finditer(place):
        yield Secret(password[2])
    for query in _QUERY.findall(place):
        parts = re.split("[?#&=]", query)
        yield from (Secret(part) for part in parts if len(part) >= _SHORTEST_SIGNATURE)
