"""Read a file that another program wrote, from the worker's disk or from a bucket."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import IO, Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.place import (
    input_error,
    is_url,
    object_at,
    secrets_in,
    unreadable,
)
from airflow_provider_datafold.redaction.redactor import mask

MOST_BYTES = 512 * 1024 * 1024
"""A dbt project of some thousand models has a manifest of 100 MB."""

_OLDEST = {"manifest": 9}
"""The manifest's version of dbt 1.5."""

_SCHEMA = re.compile(r"/dbt/([\w-]+)/v(\d+)\.json$")


def read_artifact(field: str, place: str, kind: str) -> Mapping[str, Any]:
    """Read a file that dbt wrote."""
    content = read_object(field, place)
    schema = _SCHEMA.search(str(metadata(content).get("dbt_schema_version")))
    problem = None
    if schema and schema[1] != kind:
        found, wanted = (f"{each.replace('-', '_')}.json" for each in (schema[1], kind))
        problem = f"is dbt's {found}, not its {wanted}"
    elif schema and int(schema[2]) < (oldest := _OLDEST.get(kind, 0)):
        problem = (
            f"is a {kind} of version {schema[2]}; versions from {oldest} on can be read (dbt 1.5 "
            f"and newer)"
        )
    if problem:
        raise DatafoldInputError(f"{field}: {problem}. Nothing was sent.")
    return content


def metadata(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what dbt says about the run that wrote a file."""
    found = content.get("metadata")
    return found if isinstance(found, Mapping) else {}


def read_object(field: str, place: str) -> Mapping[str, Any]:
    """Read a file that contains a JSON object."""
    content = _read(field, place)
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


def read_text(field: str, place: str) -> str:
    """Read a file of text. Its arguments and errors are those of :func:`read_object`."""
    try:
        return _read(field, place).decode("utf-8-sig")
    except UnicodeDecodeError:
        failure = input_error(field, place, "is not text in UTF-8")
    raise failure


def _read(field: str, place: str) -> bytes:
    mask(secrets_in(place))
    try:
        with _open(place) as file:
            content = file.read(MOST_BYTES + 1)
    except Exception as error:  # Each kind of bucket has errors of its own.
        failure = unreadable(field, place, error)
    else:
        if len(content) <= MOST_BYTES:
            return content
        failure = input_error(field, place, f"has more than {MOST_BYTES // 1024**2} MB")
    # Not raised in the handler, because the replaced error may quote the URL.
    raise failure


def _open(place: str) -> IO[bytes]:
    if not is_url(place):
        return open(os.path.expanduser(place), "rb")
    return object_at(place).open("rb")  # type: ignore[no-any-return]
