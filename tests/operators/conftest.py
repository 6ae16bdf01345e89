"""What the tests of the operators share."""

from __future__ import annotations

import pytest

from airflow_provider_datafold.jobs.once import start as once


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look once, without a pause, for what was started if the response is lost."""
    monkeypatch.setattr(once, "_PAUSES", (0.0,))
    monkeypatch.setattr(once, "_LAST_PAUSES", ())
    monkeypatch.setattr(once, "wait", lambda *_: 0.0)
