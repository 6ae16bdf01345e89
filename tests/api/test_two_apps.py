"""Two apps, four hosts: the error if a host does not have an operation."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_datafold.api import bi, data_diffs
from airflow_provider_datafold.exceptions import DatafoldNotFoundError, DatafoldUnreachableError
from dev.faults.behaviours import answers
from tests.conftest import API_KEY
from tests.drivers import call_sync

CURRENT = ("us.datafold.com", "eub.datafold.com")
SECTION = (
    "{} does not have this section: the integration is in Datafold Classic (app.datafold.com, "
    "eu.datafold.com). Use a connection to the app that has it"
)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def point_to(connect: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int | None], None]:
    """Connect to a host, which is at a port of this machine or does not resolve."""

    def point(host: str, port: int | None) -> None:
        def look_up(*_: Any, **__: Any) -> Any:
            if port is None:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        extra = {"allow_http": True, "max_retries": 0}
        connect("datafold_default", host=f"http://{host}", password=API_KEY, extra=extra)
        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return point


HOSTS = [*CURRENT, "app.datafold.com", "us.datafold.com.example.com"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_404_says_where_the_section_is(host: str, serve: Any, point_to: Any) -> None:
    point_to(host, serve(answers(404, b'{"detail":"Not Found"}')).port)
    with pytest.raises(DatafoldNotFoundError) as caught:
        call_sync(bi.GET, bi_datasource_id=7)
    said = SECTION.format(host)
    if host not in CURRENT:
        said = (
            "there is no such integration, or no Datafold API at this host. Check the id, and the "
            "connection's host"
        )
    assert str(caught.value).endswith(f"404, {said}. Datafold says: 'Not Found'.")
    # What each app has.
    with pytest.raises(DatafoldNotFoundError, match="404, there is no such data diff, or no "):
        call_sync(data_diffs.GET, datadiff_id=7)


@pytest.mark.parametrize("host", HOSTS)
def test_a_name_that_does_not_resolve_says_where_the_section_is(host: str, point_to: Any) -> None:
    point_to(host, None)
    said = "there is no such host. Check the connection's host, then the network's DNS"
    hint = f". If the host is correct: {SECTION.format(host)}." if host in CURRENT else "."
    for operation, values, end in (
        (bi.GET, {"bi_datasource_id": 7}, hint),
        (data_diffs.GET, {"datadiff_id": 7}, "."),
    ):
        with pytest.raises(DatafoldUnreachableError) as caught:
            call_sync(operation, **values)
        assert f"{said}{end}" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "two\nlines\r\n\x1b[31m"}, " Datafold says: 'two?lines???[31m'."),
        ({"detail": f"no {API_KEY} " + "x" * 5000}, f" Datafold says: 'no *** {'x' * 193}...'."),
        ({"detail": "it's Ünïcödé"}, ' Datafold says: "it\'s Ünïcödé".'),
        *((body, None) for body in ({"detail": ["planted"]}, {"message": "planted"}, "planted", 7)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_the_service_says_is_kept_and_made_fit_for_a_log(
    body: Any, said: str | None, serve: Any
) -> None:
    serve(answers(404, json.dumps(body).encode()))
    with pytest.raises(DatafoldNotFoundError) as caught:
        call_sync(bi.GET, bi_datasource_id=7)
    assert str(caught.value).endswith(said or "Check the id, and the connection's host.")
