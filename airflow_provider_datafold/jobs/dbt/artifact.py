"""Read a JSON file that another program wrote, from the worker's disk or from a bucket."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from airflow_provider_datafold.exceptions import (
    DatafoldError,
    DatafoldInputError,
    DatafoldTransientError,
)
from airflow_provider_datafold.redaction.masker import mask
from airflow_provider_datafold.redaction.secret import Secret

MOST_BYTES = 512 * 1024 * 1024
"""A dbt project of some thousand models has a manifest of 100 MB."""

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


def read_object(field: str, place: str) -> Mapping[str, Any]:
    """Read a file that contains a JSON object.

    :param field: the argument that names the file, for errors.
    :param place: a path on the worker, or a URL that Airflow's ``ObjectStoragePath`` can open.
    :return: the object.
    :raises DatafoldInputError: there is no such file, it is too large, or it is not a JSON object.
    :raises DatafoldTransientError: the service with the file did not answer.
    """
    mask(_secrets_in(place))
    content = _read(field, place)
    if len(content) > MOST_BYTES:
        raise _input_error(field, place, f"has more than {MOST_BYTES // 1024**2} MB")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        # Not the error's own text: it may quote the file.
        where = getattr(error, "pos", 0)
    else:
        if isinstance(found, dict):
            return found
        raise _input_error(field, place, "is not a JSON object")
    raise _input_error(
        field,
        place,
        f"is not valid JSON from character {where} on. Perhaps it was not written or copied to its "
        f"end ({len(content)} bytes)",
    )


def display(place: str) -> str:
    """Return a path or URL without what may be a secret: a query, a password.

    :param place: the path or URL.
    """
    if not _is_url(place):
        return place
    return _PASSWORD.sub(r"\1:***@", _QUERY.sub("", place))


def _read(field: str, place: str) -> bytes:
    try:
        with _open(place) as file:
            return file.read(MOST_BYTES + 1)
    except Exception as error:  # Each kind of bucket has errors of its own.
        failure = _failure(field, place, error)
    # Not raised in the handler, because the replaced error may quote the URL.
    raise failure


def _open(place: str) -> IO[bytes]:
    if not _is_url(place):
        return open(os.path.expanduser(place), "rb")
    # Slow to import.
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(place).open("rb")  # type: ignore[no-any-return, no-untyped-call]


def _failure(field: str, place: str, error: Exception) -> DatafoldError:
    kind = type(error).__name__
    if not _is_url(place):
        why = getattr(error, "strerror", None) or kind
        found = os.path.abspath(os.path.expanduser(place))
        where = "" if found == place else f" at {found}"
        return _input_error(
            field,
            place,
            f"cannot be read{where} ({why}). A plain path is a file of the worker that runs the "
            f"task; a file in a bucket needs its URL, e.g. s3://aws_default@bucket/manifest.json",
        )
    if isinstance(error, _FINAL):
        return _input_error(
            field,
            place,
            f"cannot be read ({kind}). Check the URL, the Airflow connection that it names, and "
            f"that this Airflow has the provider for its scheme",
        )
    return DatafoldTransientError(
        f"{field}: {display(place)} cannot be read ({kind}). If that stays, check the URL and the "
        f"Airflow connection that it names. Nothing was sent."
    )


def _input_error(field: str, place: str, what: str) -> DatafoldInputError:
    return DatafoldInputError(f"{field}: {display(place)} {what}. Nothing was sent.")


def _secrets_in(place: str) -> Iterator[Secret]:
    """Find what must not be logged by a library that opens a URL."""
    if not _is_url(place):
        return
    for password in _PASSWORD.finditer(place):
        yield Secret(password[2])
    for query in _QUERY.findall(place):
        parts = re.split("[?#&=]", query)
        yield from (Secret(part) for part in parts if len(part) >= _SHORTEST_SIGNATURE)


def _is_url(place: str) -> bool:
    return "://" in place
