"""Threads that cannot be started: the request fails for now, and the next one starts its own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_datafold.client import errand
from airflow_provider_datafold.exceptions import DatafoldUnreachableError
from dev.faults.behaviours import INTEGRATION, answers
from tests.certificates import tls
from tests.conftest import API_KEY
from tests.drivers import UPDATE, Call, both, call_async

BODY: dict[str, Any] = {"token": "a", "bindings": [], "indexing_cron": None}


class FewThreads:
    """Refuses the first thread that is started to look up a host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._start = threading.Thread.start
        self._is_refused = False
        monkeypatch.setattr(threading.Thread, "start", lambda thread: self.start(thread))

    def start(self, thread: threading.Thread) -> None:
        target = getattr(thread, "_target", None)
        if not self._is_refused and getattr(target, "__module__", "").startswith(
            "airflow_provider_datafold.client."
        ):
            self._is_refused = True
            raise RuntimeError("can't start new thread")
        self._start(thread)


@both
def test_thread_that_cannot_be_started(
    call: Call, serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answers())
    extra = {"max_retries": 0, "timeout": 5, "allow_http": True}
    host = f"http://nowhere.invalid:{server.port}"
    connect("datafold_default", host=host, password=API_KEY, extra=extra)
    FewThreads(monkeypatch)
    with pytest.raises(DatafoldUnreachableError, match="no thread could be started"):
        call(UPDATE, BODY, bi_datasource_id=7)
    # The next one looks the host up.
    with pytest.raises(DatafoldUnreachableError, match="there is no such host"):
        call(UPDATE, BODY, bi_datasource_id=7)


def test_ca_thread_that_cannot_be_started(
    serve: Any,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A file that no other test has read.
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    serve(answers(), tls=tls(authority), extra={"ca_bundle": str(tmp_path / "ca.pem")})
    FewThreads(monkeypatch)
    with pytest.raises(DatafoldUnreachableError, match="no thread could be started"):
        call_async(UPDATE, BODY, bi_datasource_id=7)
    assert call_async(UPDATE, BODY, bi_datasource_id=7) == INTEGRATION


def test_what_could_not_start_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    FewThreads(monkeypatch)

    async def twice() -> list[Any]:
        first = await asyncio.gather(errand.run("a", int), return_exceptions=True)
        return [type(first[0]), await errand.run("a", int)]

    assert asyncio.run(twice()) == [DatafoldUnreachableError, 0]
