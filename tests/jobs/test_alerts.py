"""Which alerts of a monitor are new. Histories: tests/triggers/test_alert_histories.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldAnswerError
from airflow_provider_datafold.jobs.alerts import Attention, Page, Reported


def page(*ids: int, total: int = 1, **states: str) -> Page:
    """A page of runs that alert, unless a state is given."""
    runs = {id_: {"run_id": id_, "state": states.get(f"run{id_}", "alert")} for id_ in ids}
    return Page(runs, total)


def test_each_alert_that_was_not_reported_is_new() -> None:
    reported = Reported({2})
    found = reported.take(page(5, 4, 3, 2, 1, run4="ok", run3="checking"))
    assert found == [1, 5]
    assert reported.runs == {2}


def test_older_runs_than_the_newest_are_forgotten_and_never_come_back() -> None:
    reported = Reported({2, 4})
    assert reported.take(page(5, 4, 3, total=9)) == [3, 5]
    assert reported.dump() == {"runs": [4], "floor": 3}
    # The list is behind for a moment.
    assert reported.take(page(3, 2, 1, total=8)) == [3]
    assert Reported.load(json.loads(json.dumps(reported.dump()))) == reported


@pytest.mark.parametrize(
    "kept", [None, [], {}, {"runs": [1]}, {"runs": "12", "floor": 0}, {"runs": [], "floor": None}]
)
def test_what_does_not_fit_is_left_out(kept: Any) -> None:
    assert Reported.load(kept) is None


def test_runs_are_read_until_all_have_ended_and_once_more() -> None:
    attention = Attention()
    for shown, state, is_due in [
        ("a", "ok", True),
        ("a", "checking", True),
        ("a", "a state that nobody knows", True),
        ("a", "ok", False),
        ("b", "ok", True),
        ("b", "ok", False),
    ]:
        assert attention.is_due(shown)
        attention.take(shown, page(1, run1=state))
        assert attention.is_due(shown) is is_due


@pytest.mark.parametrize(
    ("ids", "total", "newest"),
    [
        ([], 1, ()),
        ([1], 9, ()),
        ([6, 5, 4], 9, ()),
        ([4, 5, 6], 1, ()),
        ([4, 5, 6], 2, (1, 2)),
        ([4, 5, 6], 9, (8, 9)),
    ],
)
def test_the_newest_runs_may_be_at_either_end_of_the_list(
    ids: list[int], total: int, newest: tuple[int, ...]
) -> None:
    assert page(*ids, total=total).last_pages == newest


@pytest.mark.parametrize(
    "answer", [{}, {"runs": [], "total_pages": True}, {"runs": {}, "total_pages": 1}]
)
def test_page_that_lacks_something_is_no_page(answer: Any) -> None:
    with pytest.raises(DatafoldAnswerError, match="lacks the list 'runs' or the number"):
        Page.of(answer, "runs", "run_id")


def test_odd_items_of_a_page_are_left_out() -> None:
    runs = [{"run_id": 1}, None, "x", {"run_id": "2"}, {"run_id": True}, {}]
    found = Page.of({"runs": runs, "total_pages": 0}, "runs", "run_id")
    assert found == Page({1: {"run_id": 1}}, 1)
