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
from tests.drivers import Call, both, call_async, fails, update


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
    call: Call, to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    to("http://nowhere.invalid")
    FewThreads(monkeypatch)
    fails(call, DatafoldUnreachableError, "no thread could be started")
    # The next one looks the host up.
    fails(call, DatafoldUnreachableError, "there is no such host")


def test_ca_thread_that_cannot_be_started(
    serve: Any, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file that no other test has read.
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    serve(answers(), tls=tls(authority), extra={"ca_bundle": str(tmp_path / "ca.pem")})
    FewThreads(monkeypatch)
    fails(call_async, DatafoldUnreachableError, "no thread could be started")
    assert update(call_async) == INTEGRATION


def test_what_could_not_start_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    FewThreads(monkeypatch)

    async def twice() -> list[Any]:
        first = await asyncio.gather(errand.run("a", int), return_exceptions=True)
        return [type(first[0]), await errand.run("a", int)]

    assert asyncio.run(twice()) == [DatafoldUnreachableError, 0]
