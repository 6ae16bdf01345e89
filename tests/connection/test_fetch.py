"""How an Airflow connection is found, though the first look for it fails."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat import connection as compat
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_datafold.connection import fetch
from airflow_provider_datafold.exceptions import (
    DatafoldConfigurationError,
    DatafoldStoppedError,
    DatafoldTransientError,
)
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from tests.conftest import API_KEY

MISSING = AirflowNotFoundException("The conn_id `datafold_default` isn't defined")


class VaultError(Exception):
    """An error of a secrets backend, whose text shows a secret."""


class Airflow:
    """Stands in for Airflow's look-up of a connection.

    :param monkeypatch: puts Airflow's own back afterwards.
    :param script: the errors of the first looks. The last one stays if ``...`` follows it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *script: Any) -> None:
        self.looks = 0
        self.pauses: list[float] = []
        self._script = [*script]
        look = BaseHook.get_connection

        def get_connection(conn_id: str) -> Any:
            self.looks += 1
            if self._script:
                raise self._script[0] if self._script[1:] == [...] else self._script.pop(0)
            return look(conn_id)

        async def get_async_connection(conn_id: str) -> Any:
            return get_connection(conn_id)

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        monkeypatch.setattr(BaseHook, "get_connection", staticmethod(get_connection))
        monkeypatch.setattr(compat, "get_async_connection", get_async_connection)
        monkeypatch.setattr(fetch, "asyncio", SimpleNamespace(sleep=sleep))


def in_a_thread(airflow: Airflow) -> Any:
    return fetch.fetch_settings("datafold_default", airflow.pauses.append)


def in_a_loop(airflow: Airflow) -> Any:
    return asyncio.run(fetch.fetch_settings_async("datafold_default"))


def of_any_type(airflow: Airflow) -> Any:
    connection = fetch.fetch_connection("datafold_default", "Looker", airflow.pauses.append)
    return SimpleNamespace(api_key=SimpleNamespace(reveal=lambda: connection.reveal().password))


each = pytest.mark.parametrize("look", [in_a_thread, in_a_loop, of_any_type])


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow have a secrets backend, which is not asked in here."""
    monkeypatch.setenv(
        "AIRFLOW__SECRETS__BACKEND", "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    )


@pytest.mark.usefixtures("backend", "connections")
@pytest.mark.parametrize("error", [VaultError("planted-secret"), MISSING], ids=["raises", "none"])
@each
def test_a_look_that_fails_once_is_made_again(
    look: Any, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not the connection of the environment, which would be known to be there.
    monkeypatch.setattr(fetch, "os", SimpleNamespace(environ={}))
    airflow = Airflow(monkeypatch, error, error)
    assert look(airflow).api_key.reveal() == API_KEY
    assert (airflow.looks, airflow.pauses) == (3, [0.5, 1.0])


MISSES = [
    pytest.param(
        True, None, [0.5, 1.0, 2.0, 4.0], "^There is no Airflow connection", id="a backend"
    ),
    pytest.param(False, None, [], "^There is no Airflow connection", id="nobody else was asked"),
    pytest.param(True, "{", [], "cannot read its JSON or URI", id="a variable that is wrong"),
]


@pytest.mark.parametrize(("has_backend", "variable", "pauses", "said"), MISSES)
@each
def test_what_is_missing_is_final(
    look: Any,
    has_backend: bool,
    variable: str | None,
    pauses: list[float],
    said: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "airflow.sdk.execution_time.task_runner", None)
    if has_backend:
        request.getfixturevalue("backend")
    if variable is not None:
        monkeypatch.setenv("AIRFLOW_CONN_DATAFOLD_DEFAULT", variable)
    airflow = Airflow(monkeypatch, MISSING, ...)
    with pytest.raises(DatafoldConfigurationError, match=said):
        look(airflow)
    assert (airflow.looks, airflow.pauses) == (len(pauses) + 1, pauses)


def test_name_that_forges_a_line_is_shown_by_repr() -> None:
    with pytest.raises(DatafoldConfigurationError) as caught:
        fetch.fetch_settings("x\r\n2026-01-01 INFO forged\u2028\x85\x1b[31m")
    assert str(caught.value).isprintable()


@each
def test_what_cannot_be_read_in_the_end_is_left_to_a_retry(
    look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow = Airflow(monkeypatch, VaultError("planted-secret"), ...)
    with pytest.raises(DatafoldTransientError) as caught:
        look(airflow)
    text = str(caught.value)
    assert text.startswith("Could not read Airflow connection 'datafold_default' (")
    assert "VaultError, 5 times within 7.5 s. Nothing was sent." in text
    assert "planted-secret" not in text
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert airflow.looks == 5


def test_a_task_of_airflow_3_asks_the_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "airflow.sdk.execution_time.task_runner"
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(SUPERVISOR_COMMS=None))
    assert not fetch._is_asked_elsewhere()
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(SUPERVISOR_COMMS=object()))
    assert fetch._is_asked_elsewhere()


def test_a_hook_that_is_stopped_looks_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow, hook = Airflow(monkeypatch, VaultError(), ...), JobHook()
    monkeypatch.setattr(fetch, "_PAUSES", (60.0,))
    timer = threading.Timer(0.3, hook.stop)
    timer.start()
    with pytest.raises(DatafoldStoppedError):
        hook.get_data_diff(3)
    timer.join()
    assert airflow.looks == 1


def test_a_task_looks_again_for_both_connections(
    monkeypatch: pytest.MonkeyPatch, connections: None, sandbox: Any
) -> None:
    monkeypatch.setattr(fetch, "_PAUSES", (0.01, 0.01))
    look, failed = BaseHook.get_connection, set[str]()

    def get_connection(conn_id: str) -> Any:
        if conn_id not in failed:
            failed.add(conn_id)
            raise VaultError
        return look(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(get_connection))
    task = DatafoldUpdateHightouchOperator(
        task_id="update", bi_datasource_id=1, bindings=[], indexing_cron=None
    )
    with JobHook() as hook:
        task.call(hook)
    assert failed == {"datafold_default", "hightouch_default"}
