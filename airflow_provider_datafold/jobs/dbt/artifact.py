"""Read a JSON file that another program wrote, from the worker's disk or from a bucket."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import IO, Any

from airflow_provider_datafold.jobs.dbt.place import (
    input_error,
    is_url,
    object_at,
    secrets_in,
    unreadable,
)
from airflow_provider_datafold.redaction.masker import mask

MOST_BYTES = 512 * 1024 * 1024
"""A dbt project of some thousand models has a manifest of 100 MB."""


def read_object(field: str, place: str) -> Mapping[str, Any]:
    """Read a file that contains a JSON object.

    :param field: the argument that names the file, for errors.
    :param place: a path on the worker, or a URL that Airflow's ``ObjectStoragePath`` can open.
    :return: the object.
    :raises DatafoldInputError: there is no such file, it is too large, or it is not a JSON object.
    :raises DatafoldTransientError: the service with the file did not answer.
    """
    mask(secrets_in(place))
    content = _read(field, place)
    if len(content) > MOST_BYTES:
        raise input_error(field, place, f"has more than {MOST_BYTES // 1024**2} MB")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        # Not the error's own text: it may quote the file.
        where = getattr(error, "pos", 0)
    else:
        if isinstance(found, dict):
            return found
        raise input_error(field, place, "is not a JSON object")
    raise input_error(
        field,
        place,
        f"is not valid JSON from character {where} on. Perhaps it was not written or copied to its "
        f"end ({len(content)} bytes)",
    )


def _read(field: str, place: str) -> bytes:
    try:
        with _open(place) as file:
            return file.read(MOST_BYTES + 1)
    except Exception as error:  # Each kind of bucket has errors of its own.
        failure = unreadable(field, place, error)
    # Not raised in the handler, because the replaced error may quote the URL.
    raise failure


def _open(place: str) -> IO[bytes]:
    if not is_url(place):
        return open(os.path.expanduser(place), "rb")
    return object_at(place).open("rb")  # type: ignore[no-any-return]
