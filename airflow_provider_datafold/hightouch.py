"""A Hightouch integration: the body of a request, and how an answer compares with it.

Source of the fields: ``HighTouchDataSourceConfig`` in Datafold's published API contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_datafold import fields
from airflow_provider_datafold.omitted import OMITTED, Omitted
from airflow_provider_datafold.redaction import SECRET_FIELDS

PATH = "/api/v1/lineage/bi/hightouch/"


def path(bi_datasource_id: Any) -> str:
    """Give the path of one integration.

    :param bi_datasource_id: the integration's id, a positive integer or its text.
    :return: the path on Datafold's host, with the trailing slash that belongs to it.
    :raises DatafoldInputError: the id is something else.
    """
    return f"{PATH}{fields.positive_integer('bi_datasource_id', bi_datasource_id)}/"


def body(
    *,
    token: str,
    bindings: Any,
    indexing_cron: Any,
    name: Any = OMITTED,
    workspace: Any = OMITTED,
) -> dict[str, Any]:
    """Make the body of an update out of checked fields.

    :param token: the Hightouch API token, see :func:`airflow_provider_datafold.fields.secret`.
    :param bindings: see :func:`airflow_provider_datafold.fields.bindings`.
    :param indexing_cron: see :func:`airflow_provider_datafold.fields.indexing_cron`.
    :param name: a text or ``None``; left out when :data:`OMITTED`.
    :param workspace: a text or ``None``; left out when :data:`OMITTED`.
    :return: a body that fits the contract.
    :raises DatafoldInputError: a field is wrong.
    """
    checked: dict[str, Any] = {
        "token": token,
        "bindings": fields.bindings(bindings),
        "indexing_cron": fields.indexing_cron(indexing_cron),
    }
    for field, value in (("name", name), ("workspace", workspace)):
        if not isinstance(value, Omitted):
            checked[field] = fields.nullable_text(field, value)
    return checked


def differences(sent: dict[str, Any], answer: Any) -> Iterator[tuple[str, Any, Any]]:
    """Find the fields that an answer shows otherwise than they were sent.

    The answer's shape is not documented: a field that it does not have says nothing, and the
    order of bindings and of bound ids means nothing.

    :param sent: the body that was sent.
    :param answer: the parsed answer, any JSON.
    :return: the field's name, the value sent and the value answered, for each that differs.
    """
    if not isinstance(answer, dict):
        return
    for field in sent:
        if (
            field not in SECRET_FIELDS
            and field in answer
            and _comparable(answer[field]) != _comparable(sent[field])
        ):
            yield field, sent[field], answer[field]


def _comparable(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    try:
        return sorted((entry["remoteId"], sorted(entry["boundIds"])) for entry in value)
    except (KeyError, TypeError):
        return value
