"""Short pauses: tests/jobs and tests/operators/test_wait.py say how long they really are."""

from __future__ import annotations

import pytest

from tests import pauses


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses.shorten(monkeypatch.setattr)
