"""What a connection of another system holds of a BI integration's configuration."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.connection.fetch import Sleep, fetch_connection
from airflow_provider_datafold.connection.settings import Extra, judge_url, reject
from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from airflow_provider_datafold.redaction.frames import frameless
from airflow_provider_datafold.redaction.secret import Secret

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_datafold.api.kinds import Field, Kind


def fetch_config(
    conn_id: str, kind: Kind, given: Collection[str], sleep: Sleep = time.sleep
) -> dict[str, Any]:
    """Read from a connection what it holds of an integration's configuration.

    :param conn_id: id of an Airflow connection of any type except ``datafold``, whose password is
        Datafold's own key.
    :param kind: the integration's kind, which says where each field of it is.
    :param given: names of the fields that are known already, and are not read.
    :param sleep: pauses for some seconds.
    :return: values by the API's names of the fields, strings without the white space around them,
        secrets concealed.
    :raises DatafoldConfigurationError: there is no such connection, or it lacks a field that
        the integration must have.
    :raises DatafoldTransientError: Airflow could not read it.
    """
    wanted = [field for field in kind.fields if field.source and field.name not in given]
    names = ", ".join(field.name for field in wanted)
    connection = fetch_connection(conn_id, f"{kind.title}'s {names}", sleep)
    try:
        return _read(connection.reveal(), kind, wanted)
    except DatafoldConfigurationError as error:
        failure = frameless(error)
    raise failure


def _read(connection: Connection, kind: Kind, wanted: list[Field]) -> dict[str, Any]:
    if connection.conn_type == "datafold":
        reject(
            connection.conn_id,
            "conn_type",
            f"is 'datafold', so its password is Datafold's API key. Name a connection that holds "
            f"the secrets of {kind.title}",
        )
    config: dict[str, Any] = {}
    for field in wanted:
        source = field.name if field.source == "extra" else str(field.source)
        if value := _value(connection, source):
            config[field.name] = Secret(value) if field.secret else value
        elif field.required:
            reject(connection.conn_id, source, f"is empty; it must be {kind.title}'s {field.name}")
    return config


def _value(connection: Connection, source: str) -> str | None:
    if source == "host":
        # Datafold opens this address, not us, so http is allowed.
        is_set = (connection.host or "").strip()
        return judge_url(connection, allow_http=True) if is_set else None
    if source in ("login", "password"):
        return (getattr(connection, source) or "").strip()
    return Extra(connection).text(source)
