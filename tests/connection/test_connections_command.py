"""``airflow connections test`` prints what the hook says of a connection."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import API_KEY

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("airflow_database")]


@pytest.fixture
def said_of(
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    from airflow.cli.cli_parser import get_parser

    def test(host: str, key: str = API_KEY) -> str:
        connect("tested", host=host, password=key)
        monkeypatch.setenv("AIRFLOW__CORE__TEST_CONNECTION", "Enabled")
        # Airflow's own parser: the whole program would take seconds to start.
        arguments = get_parser().parse_args(["connections", "test", "tested"])
        with contextlib.suppress(SystemExit):
            arguments.func(arguments)
        printed = capsys.readouterr().out
        assert key not in printed.replace("MaskSecret", "")
        return printed

    return test


def test_right_key(sandbox: Any, said_of: Callable[..., str]) -> None:
    assert "Connection success!" in said_of(sandbox.url)
    assert [request.status for request in sandbox.state.requests] == [200]


def test_wrong_key(sandbox: Any, said_of: Callable[..., str]) -> None:
    assert f"{sandbox.url}: 401, the API key was refused." in said_of(sandbox.url, "other-key")
