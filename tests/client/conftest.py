"""An environment that names no proxy and no CAs, and a connection to any host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import API_KEY


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def to(connect: Any) -> Callable[..., None]:
    """Set the default connection to a host, for a single try of half a minute."""

    def set_connection(host: str = "https://datafold.test", **extra: Any) -> None:
        # So long, because a busy machine takes its time.
        extra = {"max_retries": 0, "timeout": 30, "allow_http": True, **extra}
        connect("datafold_default", host=host, password=API_KEY, extra=extra)

    return set_connection
