"""One call without I/O: when it is tried again, and what its error says."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.api.operation import Effect, Operation
from airflow_provider_datafold.client.conversation import Conversation, Pause, Send, converse
from airflow_provider_datafold.client.failure import Failure
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import DatafoldAnswerError, DatafoldError
from airflow_provider_datafold.redaction.secret import Secret

KEY = "Kp7sVt2Xw9Yz"
LOG = logging.getLogger(__name__)
READ = Operation("GET", "/things/{number}", Effect.READS, "thing", dict)


def settings(**fields: Any) -> Settings:
    given = {"conn_id": "mine", "base_url": "https://datafold.test", "api_key": Secret(KEY)}
    return Settings(**{**given, **fields})


def talk(given: Settings, **more: Any) -> Conversation:
    return converse(READ.request(number=7), given, LOG, **more)


def failing(status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(status, headers or {}, b"{}")


def steps(conversation: Any, *outcomes: Any) -> list[Any]:
    """Go through a conversation, with an outcome for each request, until it ends or raises."""
    found, waiting = [], iter(outcomes)
    step = next(conversation)
    try:
        while True:
            found.append(step)
            step = conversation.send(next(waiting) if isinstance(step, Send) else None)
    except StopIteration as done:
        found.append(done.value)
    except DatafoldError as error:
        found.append(error)
    return found


def ends(found: list[Any]) -> list[str]:
    return [type(step).__name__ for step in found]


@pytest.mark.parametrize(("limit", "is_tried"), [(5.0, True), (4.999, False)])
def test_a_wait_must_end_within_the_time_of_the_call(limit: float, is_tried: bool) -> None:
    call = talk(settings(call_timeout=limit), clock=lambda: 100.0, jitter=lambda: 0.0)
    found = steps(call, failing(503, {"Retry-After": "5"}), Response(200, {}, b"{}"))
    assert ends(found) == (
        ["Send", "Pause", "Send", "dict"] if is_tried else ["Send", "DatafoldServerError"]
    )


def test_the_time_of_the_call_begins_with_its_first_attempt() -> None:
    clock = iter([100.0, 100.0, 103.0])
    call = talk(settings(call_timeout=3.0), clock=lambda: next(clock), jitter=lambda: 0.5)
    found = steps(call, failing(500), failing(500))
    assert ends(found) == ["Send", "Pause", "Send", "DatafoldServerError"]
    assert found[-1].reason.endswith("Try again later. This was attempt 2.")


def test_retries_come_to_an_end(caplog: pytest.LogCaptureFixture) -> None:
    call = talk(settings(), jitter=lambda: 0.5)
    found = steps(call, failing(500), Failure.BROKE.error(), failing(503), failing(500))
    assert ends(found) == ["Send", "Pause"] * 3 + ["Send", "DatafoldServerError"]
    assert [step.seconds for step in found if isinstance(step, Pause)] == [0.5, 1.0, 2.0]
    assert [(text[:23], text[-19:]) for text in caplog.messages] == [
        ("Attempt 1 failed: 500, ", " Retrying in 0.5 s."),
        ("Attempt 2 failed: the c", " Retrying in 1.0 s."),
        ("Attempt 3 failed: 503, ", " Retrying in 2.0 s."),
    ]


@pytest.mark.parametrize("given", [{"max_retries": 0}, {}])
def test_there_may_be_no_retries(given: dict[str, Any]) -> None:
    own = settings(max_retries=5 if given else 0)
    (_, error) = steps(talk(own, **given), failing(500))
    assert error.reason.endswith("Try again later.")


def test_not_all_tasks_retry_at_the_same_moment() -> None:
    calls = (talk(settings(max_retries=1)) for _ in range(20))
    pauses = {steps(call, failing(500), failing(500))[1].seconds for call in calls}
    assert len(pauses) > 1
    assert all(0.375 <= seconds <= 0.625 for seconds in pauses)


def test_an_error_says_what_was_asked_of_which_connection() -> None:
    refusal = failing(429, {"Retry-After": "700"})
    (_, error) = steps(talk(settings()), refusal)
    assert str(error).startswith(
        "GET /things/7 on https://datafold.test (Airflow connection 'mine')"
    )
    assert (error.method, error.path, error.status_code) == ("GET", "/things/7", 429)
    assert error.retry_after == 700.0
    assert str(error).endswith(error.reason)
    assert "https://" not in error.reason
    assert "attempt" not in error.reason


@pytest.mark.parametrize("answered", [7, "7", None])
def test_an_answer_may_leave_its_id_out(answered: Any) -> None:
    said = {"id": answered}
    call = converse(data_diffs.GET.request(datadiff_id=7), settings(), LOG)
    assert steps(call, Response(200, {}, json.dumps(said).encode()))[-1] == said


@pytest.mark.parametrize("answered", [8, "70", True, [7], "", KEY])
def test_an_answer_about_something_else_is_an_error(answered: Any) -> None:
    answer = Response(200, {}, json.dumps({"id": answered}).encode())
    call = converse(data_diffs.GET.request(datadiff_id=7), settings(), LOG)
    (_, error) = steps(call, answer)
    assert isinstance(error, DatafoldAnswerError)
    assert error.reason.startswith("200, but the response is about another data diff: its id is ")
    assert ", not 7. " in error.reason
    assert KEY not in str(error)
