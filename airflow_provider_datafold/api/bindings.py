"""The check of the bindings of a BI integration, which say what belongs to which data source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_datafold.api.fields import (
    format_value,
    input_error,
    integer,
    literal,
    sequence,
    text,
)
from airflow_provider_datafold.exceptions import DatafoldInputError

_WANTED = "must be a list, e.g. [{'remoteId': '1', 'boundIds': [1, 2]}]"


def bindings(field: str, value: Any) -> list[dict[str, Any]]:
    """Check the bindings of an integration.

    :param field: the field's name, for the error.
    :param value: a sequence of mappings with ``remoteId`` (string) and ``boundIds`` (sequence of
        integers), or such a list as JSON or as a Python literal. Other keys of an entry are not
        part of the API's contract and are left out.
    :return: a list of dictionaries with just these two keys.
    :raises DatafoldInputError: the value is anything else; the error names the place, e.g.
        ``bindings[0].boundIds[1]``.
    """
    entries = sequence(field, value, _WANTED)
    return [_binding(f"{field}[{index}]", entry) for index, entry in enumerate(entries)]


def _binding(field: str, value: Any) -> dict[str, Any]:
    entry = literal(value)
    if not isinstance(entry, Mapping):
        raise input_error(field, value, "must be an object with remoteId and boundIds")
    for key in ("remoteId", "boundIds"):
        if key not in entry:
            found = ", ".join(format_value(name) for name in entry) or "nothing"
            raise DatafoldInputError(f"{field}: has no {key!r} (found: {found}). Nothing was sent.")
    bound_ids = sequence(f"{field}.boundIds", entry["boundIds"], "must be a list of integers")
    return {
        "remoteId": text(f"{field}.remoteId", entry["remoteId"]),
        "boundIds": [
            integer(f"{field}.boundIds[{index}]", bound_id)
            for index, bound_id in enumerate(bound_ids)
        ],
    }
