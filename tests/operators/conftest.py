"""Short pauses: tests/client and tests/jobs say how long they really are."""

from __future__ import annotations

import pytest

from airflow_provider_datafold.jobs.once import start
from tests import pauses


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses.shorten(monkeypatch.setattr)
    # One look, without a pause, for what was started if the response is lost.
    monkeypatch.setattr(start, "_PAUSES", (0.0,))
    monkeypatch.setattr(start, "_LAST_PAUSES", ())
