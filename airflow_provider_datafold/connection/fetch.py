"""Fetches Airflow connections: for a task's thread, and for an event loop.

A connection is wrapped as soon as it is there, and what is wrong with it is raised without the
frames in which it was found: they show its fields.
"""

from __future__ import annotations

import os
from contextlib import suppress

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_datafold.connection.settings import Settings, judge
from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from airflow_provider_datafold.redaction.secret import Secret


def fetch_settings(conn_id: str) -> Settings:
    """Read a connection of type ``datafold``.

    :param conn_id: id of the Airflow connection.
    :return: its settings, checked.
    :raises DatafoldConfigurationError: there is no such connection, or a field of it is wrong.
    """
    return _judge(fetch_connection(conn_id, "Datafold"))


async def fetch_settings_async(conn_id: str) -> Settings:
    """Read a connection of type ``datafold`` without blocking the event loop.

    :param conn_id: id of the Airflow connection.
    :return: its settings, checked.
    :raises DatafoldConfigurationError: there is no such connection, or a field of it is wrong.
    """
    from airflow.providers.common.compat.connection import get_async_connection

    with suppress(AirflowNotFoundException):
        return _judge(Secret(await get_async_connection(conn_id)))
    raise _missing(conn_id, "Datafold")


def fetch_connection(conn_id: str, meaning: str) -> Secret:
    """Read a connection of any type.

    :param conn_id: id of the Airflow connection.
    :param meaning: what it is for, for the error.
    :return: the connection, wrapped.
    :raises DatafoldConfigurationError: there is no such connection.
    """
    with suppress(AirflowNotFoundException):
        return Secret(BaseHook.get_connection(conn_id))
    raise _missing(conn_id, meaning)


def _judge(connection: Secret) -> Settings:
    try:
        return judge(connection.reveal(), os.environ)
    except DatafoldConfigurationError as error:
        failure = error.with_traceback(None)
    raise failure


def _missing(conn_id: str, meaning: str) -> DatafoldConfigurationError:
    variable = f"AIRFLOW_CONN_{str(conn_id).upper()}"
    if variable in os.environ:
        return DatafoldConfigurationError(
            f"Airflow connection {conn_id!r} ({meaning}): the environment variable {variable!r} is "
            f"set, but Airflow cannot read its JSON or URI. Nothing was sent."
        )
    return DatafoldConfigurationError(
        f"There is no Airflow connection {conn_id!r} ({meaning}). Nothing was sent. Add it under "
        f"Admin > Connections, with `airflow connections add`, or as the environment variable "
        f"{variable!r}."
    )
