"""A request ends in a response or in one of this provider's errors, with either driver."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trustme

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldConnectionError,
    DatafoldError,
)
from dev.faults.behaviours import INTEGRATION, answers, head, says
from dev.faults.server import FaultServer
from tests.certificates import tls
from tests.conftest import API_KEY
from tests.drivers import Call, both, call_async
from tests.tunnel import Tunnel

JSON = b'{"id": 7}'


def test_exception_that_nobody_foresaw(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # In an event loop only: in a task's own thread a signal handler may raise anything.
    def fail(*_: Any, **__: Any) -> None:
        raise ArithmeticError(API_KEY)

    serve(answers())
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DatafoldError) as caught:
        call_async(bi.GET, bi_datasource_id=7)
    assert type(caught.value) is DatafoldConnectionError
    assert "an unexpected error (ArithmeticError)" in str(caught.value)
    assert API_KEY not in str(caught.value)


@both
def test_body_without_a_length_ends_with_the_connection(
    call: Call, serve: Any, authority: trustme.CA, bundle: str
) -> None:
    # The service closes the connection without the end of TLS.
    serve(says(head(200) + JSON), tls=tls(authority), extra={"ca_bundle": bundle})
    assert call(bi.GET, bi_datasource_id=7) == {"id": 7}


@both
@pytest.mark.parametrize(
    ("headers", "kind"),
    [({}, DatafoldAnswerError), ({"Content-Length": str(len(JSON))}, DatafoldConnectionError)],
)
def test_body_that_is_cut_off_is_no_response(
    headers: dict[str, str],
    kind: type[DatafoldError],
    call: Call,
    serve: Any,
    authority: trustme.CA,
    bundle: str,
) -> None:
    act = says(head(200, headers) + JSON[:-1])
    serve(act, tls=tls(authority), extra={"ca_bundle": bundle})
    with pytest.raises(kind):
        call(bi.GET, bi_datasource_id=7)


@both
def test_host_with_a_dot_at_its_end(
    call: Call,
    connect: Any,
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with (
        FaultServer([answers()], tls=tls(authority, "datafold.test")) as service,
        Tunnel(service.port) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        extra = {"max_retries": 0, "timeout": 20, "ca_bundle": bundle}
        connect("datafold_default", host="https://datafold.test.", password=API_KEY, extra=extra)
        assert call(bi.GET, bi_datasource_id=7) == INTEGRATION
