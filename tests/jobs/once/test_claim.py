"""One data diff for each run of a task, even if responses or workers are lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Response

from airflow_provider_datafold.api import data_diffs
from airflow_provider_datafold.exceptions import DatafoldAnswerError, DatafoldStoppedError
from airflow_provider_datafold.jobs.hook import JobHook
from airflow_provider_datafold.jobs.once import claim as claim_module, start as once
from airflow_provider_datafold.jobs.once.claim import Claim, Search
from airflow_provider_datafold.jobs.once.ownership import Owner
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
OWNER = Owner("airflow:0123456789ab", "0-ba9876543210", RUN_START)
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


def take(hook: JobHook, search: Search = Search.NOT, *tags: str, **how: Any) -> Claim:
    claim = Claim(OWNER)
    request = data_diffs.CREATE.request({**BODY, "tags": [*tags]})
    diff = claim.take(hook, request, search, **how)
    assert diff["id"] == claim.number
    return claim


def statuses(sandbox: Any, *numbers: int) -> list[str]:
    return [sandbox.state.data_diffs.peek(number)["status"] for number in numbers]


def requests(sandbox: Any) -> list[str]:
    return [
        f"{each.method} {each.path.removeprefix('/api/v1')}?{each.query}".rstrip("?")
        for each in sandbox.state.requests
    ]


NEWEST_100 = "GET /datadiffs?page=1&page_size=100&sort_order=desc"
CREATE = "POST /datadiffs"


@pytest.mark.parametrize("search", Search)
def test_makes_one_where_there_is_none(hook: JobHook, sandbox: Any, search: Search) -> None:
    made = take(hook, search, "nightly")
    looks = [] if search is Search.NOT else [NEWEST_100]
    assert requests(sandbox) == [*looks, CREATE]
    assert json.loads(sandbox.state.requests[-1].body) == {**BODY, "tags": ["nightly", OWNER.tag]}
    assert not made.is_taken_over
    assert made.number == max(sandbox.state.data_diffs.diffs)


@pytest.mark.parametrize("search", [Search.BRIEF, Search.FULL])
def test_takes_over_its_own(hook: JobHook, sandbox: Any, search: Search) -> None:
    number = make(sandbox, "nightly", OWNER.tag)
    found = take(hook, search)
    assert (found.number, found.is_taken_over) == (number, True)
    assert CREATE not in requests(sandbox)


def test_cancels_what_an_earlier_generation_left(
    hook: JobHook, sandbox: Any, conduct: Any, log: Any
) -> None:
    conduct(old={"cancel": [None, 409]})
    left = [make(sandbox, OLD), make(sandbox, OLD)]
    others = [make(sandbox, OLD, end="done"), make(sandbox, "airflow:another:0-x")]
    made = take(hook, Search.FULL)
    assert statuses(sandbox, *left) == ["processing", "cancelled"]
    assert statuses(sandbox, *others) == ["done", "processing"]
    assert not made.is_taken_over
    assert f"Cancelled data diff {left[1]} of this task: nothing waits for it." in log.messages
    # That it is refused is no error.
    (warning,) = log.warnings
    assert warning.startswith(f"Could not cancel data diff {left[0]}: 409, ")


def test_finds_its_own_behind_150_younger_ones(hook: JobHook, sandbox: Any) -> None:
    number = make(sandbox, OWNER.tag)
    for _ in range(150):
        make(sandbox, "nightly")
    found = take(hook, Search.FULL)
    assert (found.number, found.is_taken_over) == (number, True)
    assert take(hook, Search.BRIEF).number != number


def test_reads_no_further_than_an_hour_before_the_run(hook: JobHook, sandbox: Any) -> None:
    before = (RUN_START - timedelta(hours=1, seconds=1)).isoformat()
    for _ in range(250):
        make(sandbox, "nightly", created_at=before)
    for _ in range(120):
        make(sandbox, "nightly", created_at=RUN_START.isoformat())
    assert not take(hook, Search.FULL).is_taken_over
    assert len(sandbox.state.requests) == 2 + 1


FULL_PAGE = [{"id": None, "tags": None, "created_at": None}] * 100


@pytest.mark.parametrize(
    ("page", "pages", "count"),
    [
        (FULL_PAGE, 99, 10),
        (FULL_PAGE, None, 10),
        (FULL_PAGE[:1], 99, 40),
        # No page after the last.
        (FULL_PAGE[:1], 2, 2),
        *((FULL_PAGE[:1], pages, 1) for pages in (None, "x")),
    ],
)
def test_how_many_pages_are_read(
    hook: JobHook, sandbox: Any, conduct: Any, page: Any, pages: Any, count: int
) -> None:
    conduct(list=[changed(results=page, total_pages=pages), ...])
    assert not take(hook, Search.FULL).is_taken_over
    assert [request.query for request in sandbox.state.requests if request.query] == [
        f"page={number}&page_size=100&sort_order=desc" for number in range(1, count + 1)
    ]


@pytest.mark.parametrize("results", [None, ["odd", 5, {}], [{"tags": [OWNER.tag]}], {"id": 1}])
def test_odd_pages_are_no_error(hook: JobHook, conduct: Any, results: Any) -> None:
    conduct(list=[changed(results=results), ...])
    assert not take(hook, Search.FULL).is_taken_over


@pytest.mark.parametrize(
    "reply",
    [
        *(lost, error_500, not_json, without_id),
        # Of someone else, of other tables, of another source.
        changed(id=1, tags=["nightly"]),
        changed(id=1, table1=["C"], tags=None),
        changed(id=1, table2=["C"], tags=None),
        changed(id=1, data_source1_id=2, tags=[]),
        changed(id=1, data_source2_id=2, tags=[]),
    ],
)
def test_finds_the_one_whose_response_was_lost(
    hook: JobHook, sandbox: Any, conduct: Any, reply: Any
) -> None:
    conduct({OWNER.tag: RUNS}, create=[reply])
    made = take(hook)
    assert requests(sandbox) == [CREATE, NEWEST_100]
    assert (made.number, made.is_taken_over) == (max(sandbox.state.data_diffs.diffs), False)


@pytest.mark.parametrize(
    "shown",
    [
        {"tags": [OWNER.tag.upper()], "table2": ["C"]},
        {"tags": None, "table1": ["DB", "a"], "table2": ['"B"']},
        {"tags": [], "data_source1_id": None, "table1": None, "query1": "SELECT 1"},
    ],
    ids=repr,
)
def test_believes_the_response_to_its_creation(
    hook: JobHook, sandbox: Any, conduct: Any, shown: dict[str, Any]
) -> None:
    conduct(create=[changed(**shown)])
    assert take(hook).number == max(sandbox.state.data_diffs.diffs)
    assert requests(sandbox) == [CREATE]


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
    assert (made.number, made.is_doubtful) == (3, True)
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
    assert take(hook, Search.FULL, may_cancel=False).number == mine[1]
    assert statuses(sandbox, old, *mine) == ["processing"] * 3


@pytest.mark.parametrize("tag", [OWNER.tag, OLD])
def test_leaves_a_persons_copy_and_says_so_once(
    hook: JobHook, sandbox: Any, log: Any, tag: str
) -> None:
    copy = make(sandbox, tag)
    sandbox.state.data_diffs.diffs[copy]["source"] = "interactive"
    claim = take(hook, Search.FULL)
    assert (claim.number, claim.is_taken_over) == (copy + 1, False)
    claim.is_doubtful = True
    claim.cancel(hook)
    assert statuses(sandbox, copy, copy + 1) == ["processing", "cancelled"]
    (told,) = (text for text in log.messages if "copy" in text)
    assert told.startswith(f"Data diff {copy} has this task's tag, but was not made through the ")


def test_cancels_the_others_that_appeared_late(
    hook: JobHook, sandbox: Any, conduct: Any, log: Any
) -> None:
    late, mine, later = (make(sandbox, OWNER.tag) for _ in range(3))
    over = make(sandbox, OWNER.tag, end="done")
    other = make(sandbox, OLD)
    claim = Claim(OWNER, mine, is_doubtful=True)
    claim.end(hook, may_cancel=True)
    found = statuses(sandbox, late, mine, later, over)
    assert found == ["cancelled", "processing", "cancelled", "done"]
    # Another generation may be a newer one, whose task has just begun.
    assert statuses(sandbox, other) == ["processing"]
    # A look that fails is no error.
    conduct(list=[500])
    claim.end(hook, may_cancel=True)
    (warning,) = log.warnings
    assert warning.startswith("Could not look for a second data diff: 500, ")


def test_a_stopped_task_looks_for_nothing_else(hook: JobHook, sandbox: Any) -> None:
    hook.stop()
    with pytest.raises(DatafoldStoppedError):
        Claim(OWNER, 3, is_doubtful=True).end(hook, may_cancel=True)
    assert requests(sandbox) == []


# While the task is being killed.


def killed(hook: JobHook, seconds: float = 4.0, **claim: Any) -> None:
    """Let a task be killed that does not know its data diff's id, unless it is given."""
    hook.stop()
    Claim(OWNER, **claim).cancel_after_stop(hook, time.monotonic() + seconds)


@pytest.mark.parametrize("end", ["", "done"])
def test_finds_one_while_the_task_is_being_killed(hook: JobHook, sandbox: Any, end: str) -> None:
    old, number = make(sandbox, OLD), make(sandbox, OWNER.tag, end=end)
    killed(hook)
    cancels = [] if end else [f"POST /datadiffs/{number}/cancel"]
    assert requests(sandbox) == [NEWEST_100, *cancels]
    assert statuses(sandbox, old, number) == ["processing", end or "cancelled"]


def test_looks_again_while_the_task_is_being_killed(
    hook: JobHook, sandbox: Any, conduct: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append)
    monkeypatch.setattr(claim_module, "time", clock)
    conduct(list=[500, changed(results=None)])
    number = make(sandbox, OWNER.tag)
    killed(hook)
    assert statuses(sandbox, number) == ["cancelled"]
    assert pauses == [0.3, 0.3]


def test_finds_the_others_while_the_task_is_being_killed(hook: JobHook, sandbox: Any) -> None:
    mine, late = make(sandbox, OWNER.tag), make(sandbox, OWNER.tag)
    killed(hook, number=mine, is_doubtful=True)
    cancels = [f"POST /datadiffs/{number}/cancel" for number in (mine, late)]
    assert requests(sandbox) == [cancels[0], NEWEST_100, cancels[1]]


def test_looks_for_no_other_where_there_is_no_time(
    hook: JobHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "call_after_stop", lambda *_, **__: {})
    killed(hook, 0.0, number=make(sandbox, OWNER.tag), is_doubtful=True)
    assert requests(sandbox) == []


def test_looks_for_one_until_a_cancel_has_just_enough_time(
    hook: JobHook, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_module, "_SEARCH_PAUSE", 0.03)
    killed(hook, 1.4)
    assert requests(sandbox) == []
    until = time.monotonic() + 1.65
    killed(hook, 1.65)
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
    killed(hook, 2.0)
    assert given
    assert max(given) <= 2.0 - claim_module._FOR_A_CANCEL
