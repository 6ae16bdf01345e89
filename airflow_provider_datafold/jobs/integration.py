"""What an update of a BI integration sends: a task's arguments, and secrets of a connection."""

from __future__ import annotations

from typing import Any

from airflow_provider_datafold.api.fields import undo_none
from airflow_provider_datafold.api.kinds import KINDS
from airflow_provider_datafold.connection.integration import fetch_config
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.omitted import OMITTED


def config_of(hook: JobHook, name: str, task: Any) -> dict[str, Any]:
    """Return the fields of an update.

    :param hook: pauses while Airflow cannot read the connection with the secrets.
    :param name: the API's name for the kind.
    :param task: has the arguments as attributes, as Airflow rendered them.
    :return: the fields by the API's names; the secrets are wrapped.
    :raises DatafoldConfigurationError: the connection with the secrets is missing or wrong.
    """
    kind = KINDS[name]
    config = {}
    for field in kind.fields:
        # A secret has no argument, whatever a subclass may call its attributes.
        value = OMITTED if field.secret else getattr(task, field.name)
        if value is not OMITTED:
            config[field.name] = undo_none(value) if field.nullable else value
    if conn_id := undo_none(getattr(task, f"{name}_conn_id", None)):
        config |= fetch_config(conn_id, kind, config, hook.pause)
    return config
