"""Whose data diff it is: tags, generations, and the choice among those of an account."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_datafold.jobs.once import ownership
from airflow_provider_datafold.jobs.once.ownership import (
    Found,
    Owner,
    Whose,
    created_at,
    find_own,
    owner_of,
    tells_of_each_clear,
)
from airflow_provider_datafold.redaction.secret import conceal

SINCE = datetime(2024, 5, 1, 6, 0, tzinfo=timezone.utc)
BODY = {"data_source1_id": 1, "data_source2_id": 1, "table1": ["A"], "table2": ["B"]}
OWNER = Owner("airflow:0123456789ab", "0-ba9876543210", SINCE)
MINE, OLD = OWNER.tag, f"{OWNER.task}:1-ba9876543210"
NAMES = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1}


@pytest.fixture(params=[True, False], ids=["each clear", "few clears"])
def tells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether Airflow counts each clear, as it does from 3.2 on."""
    monkeypatch.setattr(ownership, "tells_of_each_clear", lambda: request.param)
    return bool(request.param)


def owner(
    body: Any = BODY, retries: Any = 2, start: Any = SINCE, clears: Any = 0, **ti: Any
) -> Owner:
    context: Any = {
        "ti": SimpleNamespace(**{**NAMES, "max_tries": 2, "try_number": 1, **ti}),
        "task": SimpleNamespace(retries=retries),
        "dag_run": SimpleNamespace(start_date=start, clear_number=clears),
    }
    return owner_of(context, body)


def diff(number: Any, status: Any, *tags: Any, **more: Any) -> dict[str, Any]:
    made = {"created_at": SINCE.isoformat()}
    return {"id": number, "status": status, "tags": list(tags), **made, **more}


def test_the_tag_names_task_and_generation() -> None:
    assert re.fullmatch(r"airflow:[0-9a-f]{12}:2-2-[0-9a-f]{12}", owner().tag)
    assert owner().since == SINCE
    # The order of a body does not matter.
    assert owner(dict(reversed(BODY.items()))) == owner()


@pytest.mark.parametrize(
    "other",
    [
        {"dag_id": "e"},
        {"task_id": "u"},
        {"run_id": "s"},
        {"map_index": 0},
        {"start": SINCE + timedelta(microseconds=1)},
        {"start": None},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_run_is_another_task(other: dict[str, Any]) -> None:
    # Equal run ids in two Airflows with one account: the start distinguishes them.
    assert owner(**other).task != owner().task
    assert owner(**other).generation == owner().generation


@pytest.mark.parametrize(
    "other",
    [
        {"max_tries": 3},
        {"retries": 1},
        # The DAG file has another one by now, of which the clear did not know.
        {"max_tries": 3, "retries": 3},
        # A clear of a task that runs leaves no other trace.
        {"clears": 1},
        {"body": {**BODY, "table1": ["C"]}},
    ],
    ids=repr,
)
def test_what_was_cleared_or_asks_for_something_else_is_another_generation(
    tells: bool, other: dict[str, Any]
) -> None:
    assert owner(**other).task == owner().task
    assert owner(**other).generation != owner().generation


@pytest.mark.parametrize("clears", [0, 1])
def test_a_retry_is_another_generation_only_where_it_may_be_a_clear(
    tells: bool, clears: int
) -> None:
    tries = [owner(clears=clears, try_number=number).tag for number in (1, 2, 3)]
    assert len(set(tries)) == (1 if tells else 3)
    # The same try, which Airflow may start twice, finds its own.
    assert owner(clears=clears, try_number=2).tag == tries[1]


@pytest.mark.parametrize(
    ("version", "tells_of_each"),
    [("3.1.8", False), ("3.2.0", True), ("3.10.0", True)],
)
def test_airflow_counts_each_clear_from_3_2_on(
    monkeypatch: pytest.MonkeyPatch, version: str, tells_of_each: bool
) -> None:
    monkeypatch.setattr("airflow.__version__", version)
    assert tells_of_each_clear() is tells_of_each


def test_what_airflow_does_not_know_is_no_error() -> None:
    assert owner(max_tries=None, retries=None).generation.startswith("0-0-")
    names = SimpleNamespace(**NAMES, max_tries=2, try_number=1)
    context: Any = {"ti": names, "task": SimpleNamespace(retries=2), "dag_run": None}
    assert owner_of(context, BODY) == owner(start=None, clears=None)


def test_no_secret_gets_into_a_tag() -> None:
    bodies = [
        conceal({**BODY, "data_source1_session_parameters": {"password": password}})
        for password in ("one-planted-password", "another-planted-password")
    ]
    # Not even a hash of it, which could be guessed.
    assert owner(bodies[0]).tag == owner(bodies[1]).tag != owner().tag


THIS, EARLIER, COPY, OTHERS = Whose


@pytest.mark.parametrize(
    ("tags", "whose", "is_excluded"),
    [
        ([MINE], THIS, False),
        (["nightly", MINE.upper()], THIS, False),
        ([OLD], EARLIER, False),
        ([OLD.title()], EARLIER, False),
        ([OLD, MINE], THIS, False),
        ([OWNER.task], OTHERS, True),
        ([f"{OWNER.task}x:0-ba9876543210"], OTHERS, True),
        # A service may show no tags.
        ([None, 5, {"a": 1}], OTHERS, False),
        (None, OTHERS, False),
        (MINE, OTHERS, False),
    ],
)
def test_the_tag_tells_whose_it_is(tags: Any, whose: Whose, is_excluded: bool) -> None:
    assert OWNER.whose({"id": 1, "tags": tags}) is whose
    assert OWNER.is_excluded_by_tags({"tags": tags}) is is_excluded


@pytest.mark.parametrize("tag", [MINE, OLD])
@pytest.mark.parametrize("status", ["processing", "done"])
def test_what_was_not_made_through_the_api_is_a_copy(tag: str, status: str) -> None:
    for source in (None, "api"):
        assert find_own(OWNER, [diff(1, status, tag, source=source)]).copies == ()
    for source in ("manual", 5):
        found = find_own(OWNER, [diff(1, status, tag, source=source)])
        assert found == Found(None, (), (), (1,))


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("made", "is_before", "is_since"),
    [
        # Clocks may differ by an hour.
        ((SINCE - HOUR - timedelta(seconds=1)).isoformat(), True, False),
        ((SINCE - HOUR).isoformat(), False, True),
        (None, False, False),
        ("yesterday", False, False),
    ],
)
def test_what_may_be_older_than_the_run_is_not_taken_over(
    made: Any, is_before: bool, is_since: bool
) -> None:
    over = diff(1, "done", MINE, created_at=made)
    assert OWNER.is_from_before(over) is is_before
    assert find_own(OWNER, [over]).taken == (over if is_since else None)
    # What runs cannot have seen older data than the gate that made it.
    assert find_own(OWNER, [over | {"status": "processing"}]).taken is not None
    unknown = replace(OWNER, since=None)
    assert unknown.is_from_before(over) is False
    assert find_own(unknown, [over]).taken is None


@pytest.mark.parametrize(
    ("diffs", "taken", "running", "earlier"),
    [
        ([diff(1, "processing"), diff(2, "done", "nightly")], None, (), ()),
        # One of this generation that runs, is done, or is in an unknown state.
        ([diff(1, "processing", MINE)], 1, (1,), ()),
        ([diff(1, "done", MINE)], 1, (), ()),
        ([diff(1, "paused", MINE)], 1, (1,), ()),
        # Never one that failed or was cancelled.
        ([diff(3, "cancelled", MINE), diff(2, "failed", MINE), diff(1, "done", MINE)], 1, (), ()),
        # The newest; an older one may still run.
        ([diff(2, "processing", MINE), diff(1, "processing", MINE)], 2, (2, 1), ()),
        ([diff(2, "processing", MINE), diff(1, "done", MINE)], 2, (2,), ()),
        ([diff(2, "done", MINE), diff(1, "waiting", MINE)], 2, (1,), ()),
        # One of another generation, if it still runs.
        ([diff(1, "processing", OLD)], None, (), (1,)),
        ([diff(1, "paused", OLD)], None, (), (1,)),
        ([diff(1, "cancelled", OLD), diff(2, "failed", OLD)], None, (), ()),
        ([diff(3, "queued", OLD), diff(2, "done", MINE), diff(1, "queued", OLD)], 2, (), (3, 1)),
        # The contract lets an id be null.
        ([diff(None, "processing", MINE)], None, (), ()),
        ([diff("1", "processing", OLD)], None, (), ()),
        ([{"status": "processing", "tags": [MINE]}], None, (), ()),
        # Pages shift while others make diffs: one diff may appear twice.
        ([diff(2, "processing", MINE), diff(2, "done", MINE)], 2, (), ()),
        ([diff(2, "processing", OLD), diff(2, "processing", OLD)], None, (), (2,)),
    ],
)
def test_finds_its_own(diffs: Any, taken: int | None, running: Any, earlier: Any) -> None:
    found = find_own(OWNER, diffs)
    assert (found.taken and found.taken["id"]) == taken
    assert (found.running, found.earlier) == (running, earlier)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01T06:00:00Z", SINCE),
        ("2024-05-01T08:00:00+02:00", SINCE),
        # The API's times are UTC.
        ("2024-05-01T06:00:00", SINCE),
        ("yesterday", None),
        (None, None),
        (1714543200, None),
    ],
)
def test_reads_when_a_diff_was_made(text: Any, moment: datetime | None) -> None:
    assert created_at({"created_at": text}) == moment
