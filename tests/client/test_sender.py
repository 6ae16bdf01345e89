"""The hook's own session, which others may use, too."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.faults.behaviours import answer, answers, says
from dev.faults.server import FaultServer, Then
from tests.conftest import API_KEY
from tests.drivers import call_sync, update

OK = answer(200, b"{}")


def test_sends_what_the_session_has(serve: Any) -> None:
    server = serve(answers())
    with DatafoldHook() as hook:
        hook.get_conn().headers["X-Gateway"] = "mine"
        hook.run("PUT", "/path/", {})
    assert server.requests[0].headers["x-gateway"] == "mine"


def test_connection_is_kept_and_a_new_one_made_when_the_service_closes_it(serve: Any) -> None:
    server = serve(answers(), answers(), says(answer()), answers(), extra={"timeout": 0.4})
    with DatafoldHook() as hook:
        # Longer than the deadline, which must not cut a connection that only waits.
        for pause in (0.6, 0.0, 0.1, 0.0):
            hook.run("GET", "/")
            time.sleep(pause)
    assert (len(server.requests), server.connections) == (4, 2)


def test_only_what_the_hook_itself_sends_is_kept_out_of_the_library_s_log(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "urllib3")
    server = serve(answers())
    with DatafoldHook() as hook:
        hook.run("GET", "/ours")
        hook.get_conn().get(f"http://127.0.0.1:{server.port}/mine")
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("urllib3")]
    assert any("/mine" in message for message in logged)
    assert not any("/ours" in message for message in logged)


def test_the_session_gives_the_key_to_its_own_host_only(serve: Any) -> None:
    server = serve(answers())
    own = f"http://127.0.0.1:{server.port}"
    with FaultServer([answers()]) as other, DatafoldHook() as hook:
        session = hook.get_conn()
        assert repr(session.auth) == "KeyAuth(***)"
        for url in (own, f"{own}/", f"{own}?a=1", f"{own}/path"):
            assert session.get(url).status_code == 200
        for url in (
            own[:-1],
            f"http://127.0.0.1.test:{server.port}/",
            f"http://localhost:{server.port}/",
            f"https://127.0.0.1:{server.port}/",
            f"http://127.0.0.1:{other.port}/",
            f"http://127.0.0.1:{other.port}/{own}",
            f"{own}@127.0.0.1:{other.port}/",
            f"{own}@other.test/",
        ):
            with pytest.raises(DatafoldConfigurationError, match="sends it nowhere"):
                session.get(url)
        assert other.requests == []
    assert [sent.headers["authorization"] for sent in server.requests] == [f"Key {API_KEY}"] * 4


def test_others_may_use_the_session_without_a_limit(serve: Any) -> None:
    server = serve(says(0.3, OK), extra={"timeout": 0.2})
    with DatafoldHook() as hook:
        url = f"http://127.0.0.1:{server.port}/"
        assert hook.get_conn().get(url, timeout=None).json() == {}


def test_malformed_header_is_not_logged(serve: Any, log: Any) -> None:
    serve(says(OK.replace(b"\r\n", f"\r\nX-Echo {API_KEY}\r\n".encode(), 1)))
    assert update(call_sync) == {}
    assert API_KEY not in log.text


def test_what_starts_something_has_a_connection_of_its_own(serve: Any) -> None:
    # The second response is in transit when the request is sent: no client can see it earlier.
    server = serve(
        says(answer(200, b'{"id": 1}'), 0.2, answer(503, b"{}"), Then.KEEP),
        answers(200, b'{"ci_run_id": 5}'),
        extra={"max_retries": 1},
    )
    with DatafoldHook() as hook:
        hook.get_data_diff(1)
        facts = {"pr_sha": "a", "base_sha": "b", "pr_branch": "c", "base_branch": "d"}
        assert hook.trigger_ci(1, pr_number=1, **facts) == {"ci_run_id": 5}
    assert [request.method for request in server.requests] == ["GET", "POST"]
