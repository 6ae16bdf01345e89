"""What is said of a connection that Airflow cannot find, or not now."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.providers.common.compat import connection as compat
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_datafold.connection import fetch
from airflow_provider_datafold.exceptions import DatafoldConfigurationError, DatafoldTransientError
from tests.conftest import API_KEY

MISSING = AirflowNotFoundException("The conn_id `datafold_default` isn't defined")


class VaultError(Exception):
    """An error of a secrets backend, whose text shows a secret."""


def in_a_thread(conn_id: str = "datafold_default") -> Any:
    return fetch.fetch_settings(conn_id)


def in_a_loop(conn_id: str = "datafold_default") -> Any:
    return asyncio.run(fetch.fetch_settings_async(conn_id))


def of_any_type(conn_id: str = "datafold_default") -> Any:
    return fetch.fetch_connection(conn_id, "Looker")


each = pytest.mark.parametrize("look", [in_a_thread, in_a_loop, of_any_type])


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let each look of Airflow's for a connection fail."""

    def fails(error: Exception) -> None:
        def get_connection(conn_id: str) -> Any:
            raise error

        async def get_async_connection(conn_id: str) -> Any:
            raise error

        monkeypatch.setattr(BaseHook, "get_connection", staticmethod(get_connection))
        monkeypatch.setattr(compat, "get_async_connection", get_async_connection)

    return fails


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("look", [in_a_thread, in_a_loop])
def test_a_connection_that_is_there(look: Any) -> None:
    assert look().api_key.reveal() == API_KEY


@pytest.mark.parametrize(
    ("backend", "variable", "kind", "said"),
    [
        (
            None,
            None,
            DatafoldConfigurationError,
            r"^There is no Airflow connection '\w+' \(\w+\)\.",
        ),
        (None, "{", DatafoldConfigurationError, "cannot read its JSON or URI"),
        ("SECRETS__BACKEND", "{", DatafoldConfigurationError, "cannot read its JSON or URI"),
        ("SECRETS__BACKEND", None, DatafoldTransientError, "or the secrets backend did not answer"),
        ("WORKERS__SECRETS_BACKEND", None, DatafoldTransientError, "a retry may succeed"),
    ],
)
@each
def test_what_is_missing_is_final_unless_a_backend_may_have_it(
    look: Any,
    backend: str | None,
    variable: str | None,
    kind: Any,
    said: str,
    fails: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if backend is not None:
        monkeypatch.setenv(f"AIRFLOW__{backend}", "airflow.secrets.local_filesystem.X")
    if variable is not None:
        monkeypatch.setenv("AIRFLOW_CONN_DATAFOLD_DEFAULT", variable)
    fails(MISSING)
    with pytest.raises(kind, match=said):
        look()


@each
def test_what_cannot_be_read_is_left_to_a_retry(look: Any, fails: Any) -> None:
    fails(VaultError("planted-secret"))
    with pytest.raises(DatafoldTransientError) as caught:
        look()
    text = str(caught.value)
    assert text.startswith("Could not read Airflow connection 'datafold_default' (")
    assert "VaultError. Nothing was sent." in text
    assert "planted-secret" not in text
    assert caught.value.__context__ is caught.value.__cause__ is None


def test_name_that_forges_a_line_is_shown_by_repr() -> None:
    with pytest.raises(DatafoldConfigurationError) as caught:
        in_a_thread("x\r\n2026-01-01 INFO forged\u2028\x85\x1b[31m")
    assert str(caught.value).isprintable()
