from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_datafold.links import DatafoldLink


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
