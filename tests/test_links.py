from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_datafold.links import DatafoldDataDiffLink, DatafoldLink
from tests.conftest import Log


@pytest.mark.parametrize(("kept", "link"), [("https://acme.io/x", "https://acme.io/x"), (None, "")])
def test_link_is_what_the_run_kept(
    monkeypatch: pytest.MonkeyPatch, kept: str | None, link: str
) -> None:
    asked: list[Any] = []

    def get_value(**arguments: Any) -> str | None:
        asked.append(arguments)
        return kept

    monkeypatch.setattr(XCom, "get_value", get_value)
    assert DatafoldLink().get_link(None, ti_key="the run") == link  # type: ignore[arg-type]
    assert asked == [{"key": "datafold_url", "ti_key": "the run"}]


def test_nothing_is_kept_outside_of_a_run() -> None:
    DatafoldLink.persist({}, "https://acme.io")  # type: ignore[typeddict-item]


def test_a_link_that_cannot_be_stored_is_a_warning(log: Log) -> None:
    def push(key: str, value: Any) -> None:
        raise RuntimeError("planted-response of Airflow's API server")

    context: Any = {"ti": SimpleNamespace(xcom_push=push)}
    DatafoldDataDiffLink.persist(context, "https://acme.io")
    assert log.warnings == [
        "Could not store the link 'Datafold data diff' (RuntimeError), so the task's page lacks "
        "it: https://acme.io"
    ]
