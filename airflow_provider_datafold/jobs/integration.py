"""What an update of a BI integration sends: a task's arguments, and what a connection holds."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api.bi import KINDS, Source, Tool
from airflow_provider_datafold.api.fields import undo_none
from airflow_provider_datafold.connection.fetch import fetch_connection
from airflow_provider_datafold.connection.settings import Extra, judge_url, reject
from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.secret import WRITE_ONLY, Secret

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


def config_of(hook: JobHook, name: str, task: Any) -> dict[str, Any]:
    """Return the fields of an update by the API's names, with the secrets concealed."""
    kind = KINDS[name]
    config = {}
    for field in kind.fields:
        # A secret has no argument, whatever a subclass may call its attributes.
        value = OMITTED if field in WRITE_ONLY else getattr(task, field, OMITTED)
        if value is not OMITTED:
            config[field] = undo_none(value) if kind.takes_null(field) else value
    if conn_id := undo_none(getattr(task, f"{name}_conn_id", None)):
        config |= fetch_config(conn_id, kind, config)
    return config


def fetch_config(conn_id: str, kind: Tool, given: Collection[str]) -> dict[str, Any]:
    """Read what a connection of the tool holds of a configuration and is not given already."""
    sources = {field: source for field, source in kind.sources.items() if field not in given}
    connection = fetch_connection(conn_id, f"{kind.title}'s {', '.join(sources)}")
    try:
        return _read(connection.reveal(), kind, sources)
    except DatafoldConfigurationError as error:
        # The frames below show the connection.
        raise error.with_traceback(None) from None


def _read(connection: Connection, kind: Tool, sources: dict[str, Source]) -> dict[str, Any]:
    if connection.conn_type == "datafold":
        reject(
            connection.conn_id,
            "conn_type",
            f"is 'datafold', so its password is Datafold's API key. Name a connection that holds "
            f"the secrets of {kind.title}",
        )
    config: dict[str, Any] = {}
    for field, source in sources.items():
        place = field if source == "extra" else source
        if value := _value(connection, place):
            config[field] = Secret(value) if field in WRITE_ONLY else value
        elif kind.requires(field):
            reject(connection.conn_id, place, f"is empty; it must be {kind.title}'s {field}")
    return config


def _value(connection: Connection, place: str) -> str | None:
    if place == "host":
        # Datafold opens this address, not us, so http is allowed.
        is_set = (connection.host or "").strip()
        return judge_url(connection, allow_http=True) if is_set else None
    if place in ("login", "password"):
        return (getattr(connection, place) or "").strip()
    found: str | None = Extra(connection).read(place)
    return found
