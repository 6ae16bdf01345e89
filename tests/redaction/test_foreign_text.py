"""Input from outside can neither forge a log line nor break the hook."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import INTEGRATION, answers
from tests.conftest import API_KEY
from tests.drivers import BODY, UPDATE, Call, both, call_sync, update

FORGED = "x\r\n2026-01-01 INFO forged\u2028\x85\x1b[31m"


@both
@pytest.mark.parametrize("status", [200, 404, 503])
def test_name_of_a_connection_is_logged_by_repr(
    call: Call, status: int, serve: Any, connect: Any, log: Any
) -> None:
    server = serve(answers(status))
    extra = {FORGED: 1, "max_retries": 1, "verify_ssl": False}
    connect(FORGED, host=f"http://127.0.0.1:{server.port}", password=API_KEY, extra=extra)
    message = ""
    try:
        call(UPDATE, BODY, conn_id=FORGED, bi_datasource_id=7)
    except DatafoldError as error:
        message = str(error)
    assert (message == "") == (status == 200)
    assert len(log()) >= (2 if call is call_sync else status == 503)
    assert [text for text in [message, *log()] if not text.isprintable()] == []


@pytest.fixture
def log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[str]]:
    """What this package logged."""
    # Where Airflow sends a hook's messages differs between its versions.
    hook_log = logging.getLogger("airflow_provider_datafold.hook")
    monkeypatch.setattr(DatafoldHook, "log", hook_log)
    caplog.set_level(logging.DEBUG)
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("airflow_provider_datafold")
    ]


@pytest.mark.parametrize("call", ["update", "sync", "unchanged"])
def test_what_the_hook_logs_is_on_one_line(call: str, serve: Any, log: Any) -> None:
    serve(answers(200, json.dumps({**INTEGRATION, "indexing_cron": FORGED}).encode()))
    with DatafoldHook() as hook:
        if call == "sync":
            hook.sync_integration(" 7\n\r\u2028")
        else:
            hook.update_integration(
                "dbt",
                "7\n",
                {"ci_config_id": "4\n", "indexing_cron": "0 6\n* *\r*", "name": FORGED},
                only_if_changed=call == "unchanged",
            )
    assert len(log()) >= 1
    assert [message for message in log() if not message.isprintable()] == []


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (422, {"detail": [{"loc": ["body", FORGED], "msg": FORGED}]}, {}),
        (404, {"detail": FORGED}, {}),
        (200, FORGED, {"Content-Type": "text/\x1b[31m"}),
        (302, {}, {"Location": "https://\x1b[31m.example/"}),
    ],
)
def test_what_the_service_says_is_shown_on_one_line(
    status: int, body: Any, headers: dict[str, str], serve: Any
) -> None:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    serve(answers(status, content, headers))
    with pytest.raises(DatafoldError) as caught:
        update(call_sync)
    texts = [str(caught.value), *(part for pair in caught.value.errors for part in pair)]
    assert all(map(str.isprintable, texts))
