"""One data diff for each run of a task, even if responses or workers are lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Response

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldStoppedError,
)
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.once import claim as claim_module, start as once
from airflow_provider_datafold.jobs.once.claim import Claim, Search, claim, find, find_after_stop
from airflow_provider_datafold.jobs.once.ownership import Owner
from dev.sandbox import data_diffs as sandbox_diffs
from dev.sandbox.course import Course, Job, Step
from tests.conductor import Conductor, changed, error_500, lost, not_json, without_id
from tests.conftest import API_KEY
from tests.contexts import RUN_START

BODY = {
    "data_source1_id": 1,
    "data_source2_id": 1,
    "table1": ["A"],
    "table2": ["B"],
    "pk_columns": ["id"],
}
OWNER = Owner("airflow:0123456789ab", "0-ba9876543210", RUN_START, BODY)
OLD = f"{OWNER.task}:1-ba9876543210"
RUNS = Course((Step("processing", reads=1000),), "done")


@pytest.fixture
def hook(connect: Callable[..., None], sandbox: Any) -> Iterator[JobHook]:
    connect("datafold_default", host=sandbox.url, password=API_KEY, extra={"max_retries": 0})
    with JobHook() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "_PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(once, "_LAST_PAUSES", (0.0,))
    monkeypatch.setattr(once, "wait", lambda attempt, asked, jitter: 0.0)


@pytest.fixture
def conduct(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Conductor]:
    def start(courses: Any = None, **faults: Any) -> Conductor:
        listed, old = {"list": faults.pop("list", [])}, faults.pop("old", {})
        return Conductor(monkeypatch, courses, {OWNER.tag: faults, OLD: old, "": listed})

    return start


def make(sandbox: Any, *tags: str, end: str = "", created_at: Any = None) -> int:
    """Make a data diff. Without an end it keeps running."""
    diffs = sandbox.state.data_diffs
    job = Job(Course((), end) if end else RUNS)
    number: int = diffs.add({**BODY, "tags": list(tags)}, job)["id"]
    if created_at is not None:
        diffs.diffs[number]["created_at"] = created_at
    return number


def take(hook: JobHook, search: Search = Search.NOT, **more: Any) -> Claim:
    request = data_diffs.CREATE.request({**BODY, **more})
    return claim(hook, replace(OWNER, asked=request.body), request, search)


def statuses(sandbox: Any, *numbers: int) -> list[str]:
    return [sandbox.state.data_diffs.peek(number)["status"] for number in numbers]


def requests(sandbox: Any) -> list[str]:
    return [
        f"{request.method} {request.path.removeprefix('/api/v1')}"
        f"{'?' if request.query else ''}{request.query}"
        for request in sandbox.state.requests
    ]


NEWEST_100 = "GET /datadiffs?page=1&page_size=100&sort_order=desc"
CREATE = "POST /datadiffs"


@pytest.mark.parametrize("search", Search)
def test_makes_one_where_there_is_none(hook: JobHook, sandbox: Any, search: Search) -> None:
    made = take(hook, search, tags=["nightly"])
    looks = [] if search is Search.NOT else [NEWEST_100]
    assert requests(sandbox) == [*looks, CREATE]
    assert json.loads(sandbox.state.requests[-1].body) == {**BODY, "tags": ["nightly", OWNER.tag]}
    assert not made.is_taken_over
    assert made.diff["id"] == max(sandbox.state.data_diffs.diffs)


@pytest.mark.parametrize("search", [Search.BRIEF, Search.FULL])
def test_takes_over_its_own(hook: JobHook, sandbox: Any, search: Search) -> None:
    number = make(sandbox, "nightly", OWNER.tag)
    found = take(hook, search)
    assert (found.diff["id"], found.is_taken_over) == (number, True)
    assert CREATE not in requests(sandbox)


def test_cancels_what_an_earlier_generation_left(hook: JobHook, sandbox: Any, log: Any) -> None:
    left = [make(sandbox, OLD), make(sandbox, OLD)]
    others = [make(sandbox, OLD, end="done"), make(sandbox, "airflow:another:0-x")]
    made = take(hook, Search.FULL)
    assert statuses(sandbox, *left) == ["cancelled"] * 2
    assert statuses(sandbox, *others) == ["done", "processing"]
    assert not made.is_taken_over
    for number in left:
        said = f"Cancelled data diff {number} of this task: nothing waits for it."
        assert log.messages.count(said) == 1


def test_a_cancel_that_is_refused_is_no_error(
    hook: JobHook, sandbox: Any, conduct: Any, log: Any
) -> None:
    conduct(old={"cancel": [409]})
    number = make(sandbox, OLD)
    assert take(hook, Search.FULL).diff["id"] == number + 1
    (warning,) = log.warnings
    assert warning.startswith(f"Could not cancel data diff {number}: 409, ")


def test_finds_its_own_behind_150_younger_ones(hook: JobHook, sandbox: Any) -> None:
    number = make(sandbox, OWNER.tag)
    for _ in range(150):
        make(sandbox, "nightly")
    assert find(hook, OWNER, Search.BRIEF).taken is None
    assert requests(sandbox) == [NEWEST_100]
    found = take(hook, Search.FULL)
    assert (found.diff["id"], found.is_taken_over) == (number, True)


def test_reads_no_further_than_an_hour_before_the_run(hook: JobHook, sandbox: Any) -> None:
    before = (RUN_START - timedelta(hours=1, seconds=1)).isoformat()
    for _ in range(250):
        make(sandbox, "nightly", created_at=before)
    for _ in range(120):
        make(sandbox, "nightly", created_at=RUN_START.isoformat())
    assert find(hook, OWNER, Search.FULL).taken is None
    assert len(sandbox.state.requests) == 2


def test_believes_how_many_pages_there_are(
    hook: JobHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The service returns fewer data diffs a page than it was asked for.
    real = sandbox_diffs.page_of

    def short(things: Any, page: int, size: int, name: str) -> Any:
        return real(things, page, min(size, 30), name)

    monkeypatch.setattr(sandbox_diffs, "page_of", short)
    number = make(sandbox, OWNER.tag)
    for _ in range(120):
        make(sandbox, "nightly")
    assert take(hook, Search.FULL).diff["id"] == number


FULL_PAGE = [{"id": None, "tags": None, "created_at": None}] * 100


@pytest.mark.parametrize(
    ("page", "pages", "count"),
    [
        (FULL_PAGE, 99, 10),
        (FULL_PAGE, None, 10),
        (FULL_PAGE[:1], 99, 40),
        # No page after the last.
        (FULL_PAGE[:1], 2, 2),
        *((FULL_PAGE[:1], pages, 1) for pages in (None, "x", 1)),
    ],
)
def test_how_many_pages_are_read(
    hook: JobHook, sandbox: Any, conduct: Any, page: Any, pages: Any, count: int
) -> None:
    conduct(list=[changed(results=page, total_pages=pages), ...])
    assert find(hook, OWNER, Search.FULL).taken is None
    assert [request.query for request in sandbox.state.requests] == [
        f"page={number}&page_size=100&sort_order=desc" for number in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    "results",
    [None, [], ["odd", 5, {}], [{"tags": [OWNER.tag]}], 5, True, "odd", {"id": 1}]
    + [[{"id": [1], "tags": [OWNER.tag]}]],
)
def test_odd_pages_are_no_error(hook: JobHook, conduct: Any, results: Any) -> None:
    conduct(list=[changed(results=results), ...])
    assert find(hook, OWNER, Search.FULL).taken is None


def of_someone_else(response: Any) -> Response:
    return changed(id=1, tags=["nightly"])(response)


def of_other_tables(response: Any) -> Response:
    return changed(id=1, table2=["C"], tags=None)(response)


@pytest.mark.parametrize(
    "reply", [lost, error_500, not_json, without_id, of_someone_else, of_other_tables]
)
def test_finds_the_one_whose_response_was_lost(
    hook: JobHook, sandbox: Any, conduct: Any, reply: Any
) -> None:
    conduct({OWNER.tag: RUNS}, create=[reply])
    made = take(hook)
    assert requests(sandbox) == [CREATE, NEWEST_100]
    assert (made.diff["id"], made.is_taken_over) == (max(sandbox.state.data_diffs.diffs), False)


def test_looks_before_it_makes_another_after_a_503(
    connect: Callable[..., None], sandbox: Any, conduct: Any
) -> None:
    connect("busy", host=sandbox.url, password=API_KEY, extra={"max_retries": 1})

    def taken(response: Any) -> Response:
        # The service starts it, behind a proxy that says 503, and shows it late.
        return Response(b"{}", 503)

    conduct({OWNER.tag: RUNS}, create=[taken, 503], list=[changed(results=[])] * 6)
    with JobHook("busy") as hook:
        made = take(hook)
    assert (made.diff["id"], made.is_doubtful) == (3, True)
    assert requests(sandbox) == [CREATE, *[NEWEST_100] * 3, CREATE, *[NEWEST_100] * 4]


def test_gives_up_one_that_never_shows(hook: JobHook, sandbox: Any, conduct: Any) -> None:
    conduct(create=[without_id], list=[changed(results=[]), ...])
    with pytest.raises(DatafoldAnswerError, match="its response does not identify it"):
        take(hook)
    assert requests(sandbox) == [CREATE, *[NEWEST_100] * 4]


def test_knows_whether_there_may_be_another(hook: JobHook, sandbox: Any, conduct: Any) -> None:
    assert not take(hook, Search.BRIEF).is_doubtful
    assert take(hook, Search.BRIEF).is_doubtful
    sandbox.state.data_diffs.jobs.clear()
    sandbox.state.data_diffs.diffs.clear()
    conduct({OWNER.tag: RUNS}, create=[lost])
    assert take(hook).is_doubtful


def test_cancels_nothing_where_it_must_not(hook: JobHook, sandbox: Any) -> None:
    old = make(sandbox, OLD)
    mine = [make(sandbox, OWNER.tag), make(sandbox, OWNER.tag)]
    found = claim(hook, OWNER, data_diffs.CREATE.request(BODY), Search.FULL, may_cancel=False)
    assert found.diff["id"] == mine[1]
    assert statuses(sandbox, old, *mine) == ["processing"] * 3


def test_cancels_the_others_that_appeared_late(hook: JobHook, sandbox: Any, log: Any) -> None:
    late, mine, later = (make(sandbox, OWNER.tag) for _ in range(3))
    over = make(sandbox, OWNER.tag, end="done")
    other = make(sandbox, OLD)
    claim_module.cancel_others(hook, OWNER, mine)
    found = statuses(sandbox, late, mine, later, over)
    assert found == ["cancelled", "processing", "cancelled", "done"]
    # Another generation may be a newer one, whose task has just begun.
    assert statuses(sandbox, other) == ["processing"]


def test_a_last_look_that_fails_is_no_error(
    hook: JobHook, sandbox: Any, conduct: Any, log: Any
) -> None:
    conduct(list=[500])
    claim_module.cancel_others(hook, OWNER, 3)
    (warning,) = log.warnings
    assert warning.startswith("Could not look for a second data diff: 500, ")


def test_a_stopped_task_cancels_none_of_an_earlier_generation(
    hook: JobHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = make(sandbox, OLD)
    choice = find(hook, OWNER, Search.FULL)
    assert choice.left == (number,)
    hook.stop()
    with pytest.raises(DatafoldStoppedError):
        claim_module.cancel_left(hook, number)
    with pytest.raises(DatafoldStoppedError):
        claim_module.cancel_others(hook, OWNER, number)


def test_finds_one_while_the_task_is_being_killed(hook: JobHook, sandbox: Any) -> None:
    make(sandbox, OLD)
    number = make(sandbox, OWNER.tag)
    hook.stop()
    found = find_after_stop(hook, OWNER, time.monotonic() + 4.0)
    assert found == (number,)
    assert requests(sandbox) == [NEWEST_100]


def test_looks_again_while_the_task_is_being_killed(
    hook: JobHook, sandbox: Any, conduct: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append)
    monkeypatch.setattr(claim_module, "time", clock)
    conduct(list=[500, changed(results=None)])
    number = make(sandbox, OWNER.tag)
    hook.stop()
    found = find_after_stop(hook, OWNER, time.monotonic() + 4.0)
    assert found == (number,)
    assert pauses == [0.3, 0.3]


def test_one_that_has_ended_ends_the_search_of_a_killed_task(hook: JobHook, sandbox: Any) -> None:
    make(sandbox, OWNER.tag, end="done")
    hook.stop()
    assert find_after_stop(hook, OWNER, time.monotonic() + 4.0) == ()
    assert requests(sandbox) == [NEWEST_100]


def test_finds_the_others_while_the_task_is_being_killed(hook: JobHook, sandbox: Any) -> None:
    mine, late = make(sandbox, OWNER.tag), make(sandbox, OWNER.tag)
    hook.stop()
    find_others = claim_module.find_others_after_stop
    assert find_others(hook, OWNER, mine, time.monotonic() + 4.0) == (late,)
    # Where there is no time left, nothing is sent.
    assert requests(sandbox) == [NEWEST_100]
    assert find_others(hook, OWNER, mine, time.monotonic()) == ()
    assert requests(sandbox) == [NEWEST_100]


def test_looks_for_one_until_a_cancel_has_just_enough_time(
    hook: JobHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_module, "_SEARCH_PAUSE", 0.03)
    hook.stop()
    assert find_after_stop(hook, OWNER, time.monotonic() + 1.4) == ()
    assert requests(sandbox) == []
    until = time.monotonic() + 1.65
    assert find_after_stop(hook, OWNER, until) == ()
    assert set(requests(sandbox)) == {NEWEST_100}
    assert until - time.monotonic() > 1.0


def test_a_look_while_the_task_is_being_killed_leaves_time_for_the_cancel(
    hook: JobHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def look(*asked: Any, within: float, **more: Any) -> dict[str, Any]:
        given.append(within)
        return {}

    monkeypatch.setattr(hook, "call_after_stop", look)
    find_after_stop(hook, OWNER, time.monotonic() + 2.0)
    assert given
    assert max(given) <= 2.0 - claim_module._FOR_A_CANCEL
