"""The same call in a worker and in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import pytest

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.client.loop import AsyncClient
from airflow_provider_datafold.connection.fetch import fetch_settings_async
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.secret import Secret, conceal
from tests.conftest import API_KEY, TOKEN
from tests.sending import failure

UPDATE = bi.UPDATE["hightouch"]
"""A PUT, which may be sent twice."""
CREATE = bi.CREATE["hightouch"]
"""A POST, which may not."""
BODY: dict[str, Any] = {"token": TOKEN, "bindings": [], "indexing_cron": None}
"""A body for either."""


class Call(Protocol):
    """Calls an operation by an Airflow connection."""

    def __call__(
        self,
        operation: Any,
        body: Any = OMITTED,
        /,
        *,
        conn_id: str = "datafold_default",
        handling: BaseException | None = None,
        **values: Any,
    ) -> Any:
        """Call it, while the caller handles an error of its own if there is one."""


def call_sync(
    operation: Any,
    body: Any = OMITTED,
    /,
    *,
    conn_id: str = "datafold_default",
    handling: BaseException | None = None,
    **values: Any,
) -> Any:
    with DatafoldHook(conn_id) as hook, _handled(handling):
        if handling is None:
            return hook.call(operation, body, **values)
        try:
            raise handling
        finally:
            # Returned, because raising it would replace the caller's own error.
            handled = hook.call(operation, body, **values)
    return handled


def call_async(
    operation: Any,
    body: Any = OMITTED,
    /,
    *,
    conn_id: str = "datafold_default",
    handling: BaseException | None = None,
    **values: Any,
) -> Any:
    async def call() -> Any:
        settings = await fetch_settings_async(conn_id)
        async with AsyncClient(settings, "tests") as client:
            with _handled(handling):
                if handling is None:
                    return await client.call(operation, conceal(body), **values)
                try:
                    raise handling
                finally:
                    handled = await client.call(operation, conceal(body), **values)
            return handled

    return asyncio.run(call())


@contextmanager
def _handled(error: BaseException | None) -> Iterator[None]:
    try:
        yield
    except BaseException as raised:
        if raised is not error:
            raise


def settings_for(place: int | str, **more: Any) -> Settings:
    """Make the settings for a single try.

    :param place: a port of this machine, or a URL.
    """
    base_url = place if isinstance(place, str) else f"http://127.0.0.1:{place}"
    given: dict[str, Any] = {"api_key": Secret(API_KEY), "timeout": 20, "max_retries": 0, **more}
    return Settings("mine", base_url, **given)


def update(call: Call) -> Any:
    return call(UPDATE, BODY, bi_datasource_id=7)


def fails(call: Call, kind: type[DatafoldError], said: str = "") -> DatafoldError:
    """Make an update that must fail, and check that its error contains no secret."""
    error = failure(kind, lambda: update(call))
    assert said in str(error)
    return error


both = pytest.mark.parametrize("call", [call_sync, call_async], ids=["worker", "loop"])
"""Runs a test in a worker, and in an event loop."""
