"""The wait, with a clock of its own and a service that says what a script holds."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_datafold.client.conversation import Pause, Send
from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldAuthenticationError,
    DatafoldConnectionError,
    DatafoldDeadlineError,
    DatafoldError,
    DatafoldInputError,
    DatafoldNotFoundError,
    DatafoldPermissionError,
    DatafoldServerError,
    DatafoldStoppedError,
    DatafoldValidationError,
)
from airflow_provider_datafold.jobs.job import CI_RUN, DATA_DIFF, Job, State
from airflow_provider_datafold.jobs.trouble import LONGEST_REFUSAL, LONGEST_TROUBLE
from airflow_provider_datafold.jobs.watch import JobStatus, PollInterval, look_surely, watch
from airflow_provider_datafold.redaction.secret import Secret

SETTINGS = Settings("datafold_default", "https://datafold.test", Secret("planted-api-key-7c1f"))
IDS = {"datadiff_id": 7}
START = 1_700_000_000.0


class Service:
    """Responds to polls from a script, and advances the clock by each pause.

    :param script: what each look gives: an answer, an error, or a status of a data diff. The last
        one stays.
    :param per_look: seconds that a look takes.
    """

    def __init__(self, *script: Any, per_look: float = 0.0) -> None:
        self._script = list(script)
        self._per_look = per_look
        self.now = START
        self.pauses: list[float] = []
        self.paths: list[str] = []

    def clock(self) -> float:
        return self.now

    def run(self, conversation: Any) -> Any:
        outcome = None
        while len(self.paths) < 10_000:
            try:
                step = conversation.send(outcome)
            except StopIteration as end:
                return end.value
            outcome = None
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
                self.now += step.seconds
            else:
                assert isinstance(step, Send)
                self.paths.append(step.request.path)
                self.now += self._per_look
                outcome = self._next()
        raise AssertionError("The wait does not end.")

    def _next(self) -> Any:
        said = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(said, str):
            said = {"id": 7, "status": said}
        if isinstance(said, (dict, list)):
            return Response(200, {}, json.dumps(said).encode())
        return said

    def wait(
        self,
        *,
        job: Job = DATA_DIFF,
        ids: Any = IDS,
        limit: float = 86_400.0,
        until: float = math.inf,
        waited: float | None = None,
        interval: float | None = None,
        jitter: float = 0.5,
    ) -> JobStatus:
        reading: JobStatus = self.run(
            watch(
                job,
                ids,
                SETTINGS,
                logging.getLogger("wait"),
                deadline=START + limit,
                until=START + until,
                interval=PollInterval(interval),
                since=None if waited is None else START - waited,
                clock=self.clock,
                jitter=lambda: jitter,
            )
        )
        return reading

    def look_surely(self, *, is_troubled: bool = False) -> JobStatus:
        log = logging.getLogger("look")
        reading: JobStatus = self.run(
            look_surely(DATA_DIFF, IDS, SETTINGS, log, is_troubled=is_troubled, clock=self.clock)
        )
        return reading


def refused(status: int, **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, b"")


def runs(count: int, *ends: Any) -> Iterable[Any]:
    return [*["processing"] * count, *ends]


@pytest.fixture
def _no_minute() -> None:
    """Here a minute is one: the clock is the service's."""


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("done", State.SUCCEEDED),
        ("failed", State.FAILED),
        ("cancelled", State.CANCELLED),
        ("needs_confirmation", State.BLOCKED),
        ("needs_authentication", State.BLOCKED),
    ],
)
def test_ends_with_the_job(status: str, state: State) -> None:
    service = Service("waiting", "queued", "processing", {"id": 7, "status": status, "x": 1})
    reading = service.wait()
    assert (reading.state, reading.status, reading.is_known) == (state, status, True)
    assert reading.answer == {"id": 7, "status": status, "x": 1}
    assert service.paths == ["/api/v1/datadiffs/7"] * 4
    # One that has ended takes one look.
    ended = Service(status)
    ended.wait(limit=-10)
    assert ended.pauses == []


def test_looks_after_two_seconds_and_then_after_a_seventh_of_the_time_waited() -> None:
    service = Service(*runs(70, "done"))
    service.wait()
    assert service.pauses[:6] == [2.0] + [1.0] * 5
    for before, pause in enumerate(service.pauses[1:], start=1):
        assert pause == pytest.approx(min(max(1.0, sum(service.pauses[:before]) / 7), 30.0))
    assert service.pauses[-1] == 30.0


def test_goes_on_in_the_rhythm_of_a_wait_that_began_elsewhere() -> None:
    # Many waits do not look at once.
    for jitter, pause in ((0.0, 9.0), (0.5, 10.0), (1.0, 11.0)):
        service = Service("processing", "done")
        service.wait(waited=70.0, jitter=jitter)
        assert service.pauses == pytest.approx([pause])


def test_a_given_interval_is_kept() -> None:
    service = Service(*runs(5, "done"))
    service.wait(interval=7.0, jitter=1.0)
    assert service.pauses == [7.0] * 5
    # A fault does not slow a quick wait down.
    service = Service("processing", refused(503), "done")
    service.wait(interval=0.25)
    assert service.pauses == [0.25, 0.25]


def test_the_last_look_is_at_the_deadline() -> None:
    service = Service("processing", per_look=0.25)
    with pytest.raises(DatafoldDeadlineError) as caught:
        service.wait(limit=100.0, interval=30.0)
    assert len(service.paths) == 5
    # The pause before the last poll is cut, and no poll comes later.
    assert service.pauses == [30.0, 30.0, 30.0, 100.0 - 91.0]
    assert "The data diff had not ended after 100 s" in str(caught.value)
    assert caught.value.__context__ is None
    in_time = Service(*runs(4, "done"))
    assert in_time.wait(limit=100.0, interval=30.0).state is State.SUCCEEDED


@pytest.mark.parametrize("status", [503, 404])
def test_a_fault_at_the_deadline_is_not_the_error(status: int) -> None:
    with pytest.raises(DatafoldDeadlineError) as caught:
        Service(refused(status)).wait(limit=10.0, interval=5.0)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "fault",
    # The last one is about another data diff.
    [
        *(refused(status) for status in (403, 404, 429)),
        DatafoldConnectionError("broke"),
        {"id": 8, "status": "done"},
    ],
    ids=repr,
)
def test_a_passing_fault_does_not_end_the_wait(
    fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service("processing", fault, fault, "processing", fault, "done")
    assert service.wait(interval=5.0).state is State.SUCCEEDED
    # Each poll is a single request: the next one follows the interval.
    assert service.pauses == [5.0] * 5
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    told = [(text[:30], text[-15:]) for text in warnings]
    assert told == [("Could not check the data diff:", " Still waiting.")] * 3


@pytest.mark.parametrize(
    ("status", "asked", "pause"), [(403, "120", 120.0), (429, "2", 5.0), (429, "90000", 1000.0)]
)
def test_a_wait_that_the_service_asks_for_is_honoured(
    status: int, asked: str, pause: float
) -> None:
    service = Service(refused(status, Retry_After=asked), "done")
    service.wait(interval=5.0, limit=1000.0)
    assert service.pauses == [pause]


def test_an_hour_of_trouble_gives_up() -> None:
    service = Service(refused(503))
    with pytest.raises(
        DatafoldServerError, match="GET /api/v1/datadiffs/7 on https://datafold.test"
    ):
        service.wait(interval=600.0)
    assert service.now - START == LONGEST_TROUBLE + 600.0


def test_trouble_that_ends_is_counted_again_from_zero() -> None:
    hour = [refused(503)] * 7
    service = Service(*hour, "processing", *hour, "processing", *hour, "done")
    assert service.wait(interval=600.0).state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (refused(401), DatafoldAuthenticationError),
        (refused(422), DatafoldValidationError),
        (DatafoldStoppedError("stopped"), DatafoldStoppedError),
    ],
)
def test_what_no_wait_mends_ends_it_at_once(said: Any, kind: type[DatafoldError]) -> None:
    service = Service("processing", said)
    with pytest.raises(DatafoldError) as caught:
        service.wait()
    assert type(caught.value) is kind
    assert len(service.paths) == 2


# A wait that another process goes on with.


def test_a_wait_that_goes_on_elsewhere_ends_with_a_look_at_that_moment() -> None:
    service = Service("processing")
    reading = service.wait(until=3.0)
    assert (reading.has_ended, reading.retry_after) == (False, 0.0)
    assert service.pauses == [2.0, 1.0]
    assert len(service.paths) == 3


@pytest.mark.parametrize("interval", [None, 0.5, 60.0])
def test_a_job_that_ends_at_that_moment_is_seen(interval: float | None) -> None:
    looks = 7 if interval == 0.5 else 2 if interval else 3
    service = Service(*runs(looks - 1, "done"))
    assert service.wait(until=3.0, interval=interval).state is State.SUCCEEDED
    assert service.now == START + 3


def test_a_wait_ends_early_where_datafold_wants_no_look_before_that_moment() -> None:
    service = Service(refused(503, Retry_After="600"))
    reading = service.wait(until=3.0)
    assert (reading.has_ended, reading.retry_after) == (False, 600.0)
    assert service.pauses == []


def test_a_deadline_before_that_moment_counts() -> None:
    service = Service("processing")
    with pytest.raises(DatafoldDeadlineError):
        service.wait(until=3.0, limit=2.0)
    assert service.now == START + 2


# One refusal, and many.

REFUSALS = [(refused(403), DatafoldPermissionError), (refused(404), DatafoldNotFoundError)]
each_refusal = pytest.mark.parametrize(("said", "kind"), REFUSALS)


@each_refusal
@pytest.mark.parametrize("interval", [None, 600.0])
def test_refusals_for_over_a_minute_end_it(
    said: Any, kind: type[DatafoldError], interval: float | None
) -> None:
    service = Service("processing", said)
    with pytest.raises(kind):
        service.wait(interval=interval)
    # It looks more often than it would, to know soon.
    refused_for = sum(service.pauses[1:])
    assert LONGEST_REFUSAL < refused_for <= LONGEST_REFUSAL + 15.0
    assert len(service.paths) >= 5


@pytest.mark.parametrize("between", ["processing", refused(503)], ids=["seen", "503"])
def test_refusals_that_are_not_in_a_row_do_not_end_it(between: Any) -> None:
    service = Service(*[refused(404), between] * 30, "done")
    assert service.wait(interval=15.0).state is State.SUCCEEDED


def test_refusals_count_for_the_hour_of_trouble() -> None:
    service = Service(*[refused(503), refused(404)] * 500)
    with pytest.raises(DatafoldError):
        service.wait(interval=15.0)
    assert LONGEST_TROUBLE < service.now - START <= LONGEST_TROUBLE + 15.0


# A look of someone who comes again later.


@each_refusal
def test_a_look_that_is_refused_is_made_again_for_over_a_minute(
    said: Any, kind: type[DatafoldError]
) -> None:
    service = Service(said, said, "processing")
    assert service.look_surely().status == "processing"
    assert service.pauses == [15.0, 15.0]
    service = Service(said)
    with pytest.raises(kind):
        service.look_surely()
    assert service.pauses == [15.0] * 5


@pytest.mark.parametrize(
    ("said", "retry_after"),
    [(refused(503), 0.0), (refused(429, Retry_After="600"), 600.0), (Response(200, {}, b"<"), 0.0)],
)
def test_a_look_that_fails_for_the_moment_sees_nothing(said: Any, retry_after: float) -> None:
    service = Service(refused(404), said)
    reading = service.look_surely()
    assert (reading.has_ended, reading.was_seen, reading.retry_after) == (False, False, retry_after)
    assert len(service.paths) == 2


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        REFUSALS[0],
        (refused(503), DatafoldServerError),
        ({"id": 8, "status": "done"}, DatafoldAnswerError),
    ],
)
def test_after_trouble_that_has_lasted_one_look_decides(
    said: Any, kind: type[DatafoldError]
) -> None:
    service = Service(said)
    with pytest.raises(kind, match="GET /api/v1/datadiffs/7 on https://datafold"):
        service.look_surely(is_troubled=True)
    assert (service.pauses, len(service.paths)) == ([], 1)
    assert Service("processing").look_surely(is_troubled=True).was_seen


@pytest.mark.parametrize("said", [refused(401), DatafoldStoppedError("stopped")], ids=repr)
def test_what_no_look_mends_is_raised_at_once(said: Any) -> None:
    service = Service(said)
    with pytest.raises((DatafoldAuthenticationError, DatafoldStoppedError)):
        service.look_surely()
    assert len(service.paths) == 1


@pytest.mark.parametrize("status", [None, ["done"], "DONE"])
def test_an_unknown_status_is_no_end(status: Any, caplog: pytest.LogCaptureFixture) -> None:
    odd = {"id": 7, "status": status}
    service = Service(odd, odd, odd, "processing", odd, "done")
    assert service.wait(interval=1.0).state is State.SUCCEEDED
    assert caplog.messages == [f"Status {status!r} is unknown: still waiting."]


def test_each_unknown_status_is_told_once_and_cut(caplog: pytest.LogCaptureFixture) -> None:
    Service("paused", "held\nback", "paused", "x" * 5000, "done").wait(interval=30.0)
    texts = caplog.messages
    assert [text for text in texts if "'paused'" in text] == [texts[0], texts[2]]
    assert texts[1] == "Status 'held\\nback' is unknown: still waiting."
    assert texts[2] == "The data diff is 'paused'."
    assert max(map(len, texts)) < 200


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        ({"completed_steps": 3, "total_steps": 8}, "processing (3 of 8 steps)."),
        *((odd, "processing.") for odd in (None, {}, {"completed_steps": None, "total_steps": 8})),
    ],
)
def test_progress_is_told_once_a_minute_at_most(
    progress: Any, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    running = {"id": 7, "status": "processing", "diff_progress": progress}
    Service(*[running] * 30, "done").wait(interval=10.0)
    assert caplog.messages == [f"The data diff is {told}"] * 4


CI_IDS = {"ci_config_id": 4, "run_id": 9, "pr_num": 2}


def listed(*offsets: int) -> list[str]:
    """The requests that read a list from these places."""
    return [f"/api/v1/ci/4/runs?pr_num=2&limit=100&offset={offset}" for offset in offsets]


def test_a_run_of_a_list_is_found_by_its_id() -> None:
    others = [{"id": 1, "status": "done"}, "odd", {"id": 2, "status": "failed"}]
    service = Service(
        [*others, {"id": 9, "status": "processing"}],
        [{"id": 9}],
        [{"id": 9, "status": "failed"}],
    )
    reading = service.wait(job=CI_RUN, ids=CI_IDS)
    assert reading.state is State.FAILED
    assert service.paths == listed(0) * 3


def page(*numbers: int) -> list[Any]:
    return [{"id": 1000 + number, "status": "done"} for number in numbers]


def test_a_run_is_found_on_the_last_page_of_a_list() -> None:
    # Oldest first, and fewer to a page than were asked for.
    service = Service(page(*range(50)), page(*range(50, 99)), [{"id": 9, "status": "done"}])
    assert service.wait(job=CI_RUN, ids=CI_IDS).state is State.SUCCEEDED
    assert service.paths == listed(0, 50, 99)


def test_a_run_may_appear_late_in_a_list() -> None:
    service = Service([], [], page(1), [], [{"id": 9, "status": "done"}])
    assert service.wait(job=CI_RUN, ids=CI_IDS, interval=15.0).state is State.SUCCEEDED
    assert service.pauses == [15.0] * 3


@pytest.mark.parametrize(
    ("answer", "reads", "count"), [([], 1, 0), (page(1), 10, 10)], ids=["empty", "endless"]
)
def test_a_run_that_is_in_no_list_is_an_error_after_a_minute(
    answer: Any, reads: int, count: int
) -> None:
    service = Service(answer)
    with pytest.raises(DatafoldNotFoundError) as caught:
        service.wait(job=CI_RUN, ids=CI_IDS, interval=10.0)
    assert str(caught.value).startswith(
        "GET /api/v1/ci/4/runs?pr_num=2 on https://datafold.test (Airflow connection "
        f"'datafold_default'): CI run 9 is not among the {count} runs listed. "
    )
    assert service.pauses == [10.0] * 7
    assert len(service.paths) == 8 * reads


def test_a_pause_keeps_no_response() -> None:
    service = Service({"id": 7, "status": "processing"})
    waiting = watch(
        DATA_DIFF,
        IDS,
        SETTINGS,
        logging.getLogger("wait"),
        deadline=START + 60,
        interval=PollInterval(),
        clock=service.clock,
    )
    assert isinstance(waiting.send(None), Send)
    assert isinstance(waiting.send(service._next()), Pause)
    # A thousand waits would keep a thousand of them.
    assert not [kept for kept in waiting.gi_frame.f_locals.values() if isinstance(kept, JobStatus)]


def test_an_id_with_the_api_key_in_it_is_not_shown() -> None:
    with pytest.raises(DatafoldInputError, match=r"^datadiff_id: must be .* '\*\*\*'") as caught:
        Service().wait(ids={"datadiff_id": "planted-api-key-7c1f"})
    assert "planted" not in str(caught.value)
