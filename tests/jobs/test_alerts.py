"""Which alerts of a monitor are new."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from airflow_provider_datafold.exceptions import DatafoldAnswerError
from airflow_provider_datafold.jobs import alert_runs, alerts
from airflow_provider_datafold.jobs.alert_runs import Page, Runs, has_ended, read_back
from airflow_provider_datafold.jobs.alerts import Cursor, Listed, Progress, Watch

HOST = "https://app.datafold.com"


def run(run_id: int, state: Any = "alert", **more: Any) -> tuple[int, dict[str, Any]]:
    return run_id, {"run_id": run_id, "monitor_id": 7, "state": state, **more}


def took(progress: Progress, *runs: tuple[int, Any], last_alert: Any = None, **more: Any) -> Any:
    return progress.take(Runs(dict(runs), **more), last_alert)


# What is new.


EIGHT, NINE = "2024-01-01T08:00:00+00:00", "2024-01-01T09:00:00Z"


@pytest.mark.parametrize(
    ("began", "last_alert", "alerts"),
    [
        (None, None, []),
        (EIGHT, EIGHT, []),
        (NINE, NINE, []),
        (None, NINE, [1, 2]),
        (EIGHT, NINE, [2]),
        # Nobody knows whose alert it is.
        ("yesterday", NINE, []),
    ],
)
def test_what_alerted_since_the_watch_began_is_reported_at_the_first_look(
    began: Any, last_alert: Any, alerts: list[int]
) -> None:
    cursor = Cursor()
    cursor.at(HOST, began)
    cursor.at(HOST, NINE)
    cursor = Cursor.load(json.loads(json.dumps(cursor.dump())))
    runs = [run(1, started_at=EIGHT), run(2, started_at=NINE), run(3, "ok", started_at=NINE)]
    progress = cursor.at(HOST)
    assert took(progress, *runs, run(4), last_alert=last_alert) == alerts


def test_a_run_may_become_visible_after_those_with_higher_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alerts, "LATE", 3)
    progress = Progress()
    took(progress, run(4, "ok"), run(6, "ok"))
    # One that is older than all of them was there before.
    assert took(progress, run(3), run(4), run(5), run(6)) == [5]
    progress.pending.clear()
    assert took(progress, run(3), run(5), run(9), run(11)) == [9, 11]
    assert progress == Progress(5, {9, 11}, {6, 9, 11})
    assert took(progress, run(4), run(5), run(7)) == [7]
    whole = Progress()
    took(whole, run(6, "ok"), is_whole=True)
    assert took(whole, run(1), run(6)) == [1]


def test_alert_stays_pending_until_it_is_noted() -> None:
    watch = Watch(7, Cursor({HOST: Progress(1)}))
    runs = Runs(dict([run(3, diff_id=9), run(2), run(4, "ok")]))
    first, second = watch.take(HOST, Listed(), runs, 0.0).alerts
    assert first == {"monitor_id": 7, "run_id": 2, "diff_id": None}
    assert second == {"monitor_id": 7, "run_id": 3, "diff_id": 9}
    watch.note(HOST, first)
    assert watch.cursor.at(HOST).pending == {3}
    assert watch.take(HOST, Listed(), runs, 0.0).alerts == [second]


@pytest.mark.parametrize("state", ["ok", "learning", "skipped", "error", "cancelled"])
def test_run_that_ends_otherwise_is_done_with(state: str) -> None:
    progress = Progress(3, {2, 3})
    assert took(progress, run(2, state), run(3, "queued")) == []
    assert progress.pending == {3}


# What is kept.


def test_cursor_survives_a_store() -> None:
    cursor = Cursor({HOST: Progress(9, {7, 8}, {10, 12}), "http://x": Progress(0)})
    cursor.at("another", EIGHT)
    kept = json.loads(json.dumps(cursor.dump()))
    none: dict[str, Any] = {"pending": [], "seen": [], "last_alert": None}
    assert kept == {
        HOST: {**none, "floor": 9, "pending": [7, 8], "seen": [10, 12]},
        "http://x": {**none, "floor": 0},
        "another": {**none, "floor": None, "last_alert": EIGHT},
    }
    assert Cursor.load(kept).dump() == kept


@pytest.mark.parametrize(
    ("kept", "left"),
    [
        (None, {}),
        ([], {}),
        # As it was before the first release.
        ({"7": 12}, {}),
        ({HOST: {"newest": 3}}, {}),
        ({HOST: {"floor": True}}, {}),
        ({HOST: {"floor": 3, "pending": "2"}}, {HOST: Progress(3)}),
        ({HOST: {"floor": 3, "pending": [2, "1", None, True]}}, {HOST: Progress(3, {2})}),
    ],
)
def test_what_does_not_fit_is_left_out(kept: Any, left: Any) -> None:
    assert Cursor.load(kept) == Cursor(left)


def test_the_last_hosts_are_kept() -> None:
    cursor = Cursor()
    for host in ("a", "b", "a", "c", "d", "e"):
        cursor.at(host)
    assert [*cursor.hosts] == ["a", "c", "d", "e"]


# What is read.


@pytest.mark.parametrize(
    "answer",
    [{}, {"runs": [], "total_pages": True}, {"runs": {}, "total_pages": 1}],
)
def test_page_that_lacks_something_is_no_page(answer: Any) -> None:
    with pytest.raises(DatafoldAnswerError, match="lacks the list 'runs' or the number"):
        Page.of(answer, "runs", "run_id")


def test_odd_items_of_a_page_are_left_out() -> None:
    runs = [{"run_id": 1}, None, "x", {"run_id": "2"}, {"run_id": True}, {}]
    page = Page.of({"runs": runs, "total_pages": 0}, "runs", "run_id")
    assert page == Page({1: {"run_id": 1}}, 1)


def read(ids: list[int], size: int, back_to: float) -> tuple[list[int], Runs]:
    """Return the numbers of the pages that are read of a list, and what was found."""
    reading = read_back(back_to)
    asked = [next(reading)]
    while True:
        items = dict(run(id_) for id_ in ids[(asked[-1] - 1) * size : asked[-1] * size])
        try:
            asked.append(reading.send(Page(items, max(math.ceil(len(ids) / size), 1))))
        except StopIteration as end:
            return asked, end.value


@pytest.mark.parametrize(
    ("ids", "back_to", "asked", "found"),
    [
        ([], 3, [1], set()),
        ([2, 1], 3, [1], {1, 2}),
        # Newest first.
        ([6, 5, 4, 3, 2, 1], 7, [1], {5, 6}),
        ([6, 5, 4, 3, 2, 1], 6, [1, 2], {3, 4, 5, 6}),
        ([6, 5, 4, 3, 2, 1], 1, [1, 2, 3], {1, 2, 3, 4, 5, 6}),
        ([6, 5, 4, 3, 2, 1], math.inf, [1], {5, 6}),
        # Oldest first.
        ([1, 2, 3, 4, 5, 6], 7, [1, 3], {5, 6}),
        ([1, 2, 3, 4, 5, 6], 4, [1, 3, 2], {1, 2, 3, 4, 5, 6}),
        ([1, 2, 3, 4, 5, 6], math.inf, [1, 3], {5, 6}),
    ],
)
def test_pages_are_read_from_the_newest_back(
    ids: list[int],
    back_to: float,
    asked: list[int],
    found: set[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alert_runs, "LATE", 2)
    numbers, runs = read(ids, 2, back_to)
    # Page 1 is read first, and says which end is the newest.
    assert numbers == asked
    assert {*runs.found} >= found
    assert not runs.is_cut
    assert runs.is_whole is ({*runs.found} == {*ids})


def test_enough_runs_are_read_to_find_one_that_is_late() -> None:
    ids = [*range(200, 0, -1)]
    assert read(ids, 100, 201)[0] == [1]
    assert read(ids, 20, 201)[0] == [1, 2, 3]
    assert read(ids[::-1], 100, 201)[0] == [1, 2]
    assert read([*range(1, 202)], 100, 202)[0] == [1, 3, 2]


@pytest.mark.parametrize("order", [1, -1])
def test_a_bound_for_what_is_read(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_runs, "MOST_RUNS", 4)
    monkeypatch.setattr(alert_runs, "LATE", 2)
    ids = sorted(range(1, 11), key=lambda id_: order * id_)
    for back_to, is_cut in ((6, True), (7, False), (8, False)):
        _, runs = read(ids, 2, back_to)
        assert ({*runs.found}, runs.is_cut) == ({7, 8, 9, 10}, is_cut)


def test_empty_pages_have_an_end() -> None:
    reading = read_back(1)
    assert next(reading) == 1
    assert reading.send(Page(dict([run(9), run(8)]), 10**9)) == 2
    with pytest.raises(StopIteration) as end:
        reading.send(Page({}, 10**9))
    assert {*end.value.value.found} == {8, 9}


# When to look.


@pytest.mark.parametrize(
    ("started", "state", "last_alert", "is_missed", "shows"),
    [
        (EIGHT, "alert", None, False, True),
        (EIGHT, "alert", EIGHT, False, True),
        (EIGHT, "alert", "2024-01-01T08:00:00", False, True),
        (NINE, "ok", EIGHT, False, True),
        (NINE, "checking", EIGHT, False, False),
        (EIGHT, "alert", NINE, False, False),
        (None, "alert", EIGHT, False, False),
        (EIGHT, "alert", "yesterday", False, False),
        (EIGHT, "alert", 5, False, False),
        # An alert that was not found is shown by itself only.
        (EIGHT, "alert", EIGHT, True, True),
        (EIGHT, "ok", EIGHT, True, False),
        (NINE, "alert", EIGHT, True, False),
    ],
)
def test_whether_the_runs_are_as_new_as_an_alert(
    started: Any, state: str, last_alert: Any, is_missed: bool, shows: bool
) -> None:
    runs = Runs(dict([run(1, state, started_at=started)]))
    assert runs.shows(last_alert, is_missed=is_missed) is shows


def test_runs_are_read_again_only_if_there_is_something_to_wait_for() -> None:
    watch = Watch(7, Cursor())
    settled = Runs(dict([run(1, started_at=EIGHT)]))
    first = Listed(EIGHT, EIGHT, "alert")
    assert watch.is_due(HOST, first, 0)
    # A read that failed is made again.
    assert watch.is_due(HOST, first, 60)
    watch.take(HOST, first, settled, 60)
    assert not watch.is_due(HOST, first, 10**9)
    # A run goes on: it is read when it has ended.
    assert not watch.is_due(HOST, first._replace(last_run=NINE, state="checking"), 10**9)
    # Another run, another alert, or another host.
    for host, listed in (
        (HOST, first._replace(last_run=NINE)),
        (HOST, first._replace(last_run=NINE, state="ok")),
        (HOST, Listed(NINE, NINE, "ok")),
        (HOST, Listed(EIGHT, NINE, "checking")),
        ("http://x", Listed(EIGHT, NINE, "checking")),
    ):
        assert watch.is_due(host, listed, 10**9)
        watch.take(host, listed, Runs(dict([run(1, started_at=listed.last_alert)])), 10**9)
        assert not watch.is_due(host, listed, 10**9)


def test_a_later_run_is_no_proof_that_the_last_alert_was_found() -> None:
    watch = Watch(7, Cursor({HOST: Progress(0)}))
    listed = Listed(EIGHT, NINE, "ok")
    for seen, runs in ((Listed(), {}), (listed, dict([run(2, "ok", started_at=NINE)]))):
        assert watch.is_due(HOST, seen, 0)
        watch.take(HOST, seen, Runs(runs), 0)
    assert watch.is_due(HOST, listed, 60)


@pytest.mark.parametrize(
    "runs",
    [
        Runs(dict([run(1, started_at=EIGHT)])),
        Runs(dict([run(1, "ok", started_at=NINE), run(2, "checking")])),
    ],
    ids=["a list that is behind", "a run that goes on"],
)
def test_looks_become_rarer(runs: Runs) -> None:
    watch = Watch(7, Cursor({HOST: Progress(0)}))
    looks = []
    for now in range(0, 100_000, 60):
        if watch.is_due(HOST, Listed(NINE), now):
            looks.append(now)
            watch.take(HOST, Listed(NINE), runs, now)
    assert looks[:11] == [*range(0, 660, 60)]
    gaps = [later - now for now, later in pairwise(looks)]
    assert gaps == sorted(gaps)
    assert all(gap < now / 10 + 60 for now, gap in zip(looks[1:], gaps[1:], strict=False))


def test_a_monitor_that_cannot_be_read_is_read_less_and_less() -> None:
    watch = Watch(7, Cursor())
    looks = []
    for now in range(60_000, 160_000, 60):
        if watch.is_due(HOST, Listed(EIGHT), now):
            looks.append(now)
            watch.fail(now, None)
            assert watch.is_failing
    assert looks[:11] == [*range(60_000, 60_660, 60)]
    # Ten minutes at most: what happened meanwhile is late by as much.
    assert max(later - now for now, later in pairwise(looks)) == 600
    # An alert that is new is read at once.
    assert watch.is_due(HOST, Listed(NINE), 160_000)
    watch.take(HOST, Listed(NINE), Runs(dict([run(1, started_at=NINE)])), 160_000)
    assert not watch.is_failing


@pytest.mark.parametrize(("asked", "waits"), [(None, 0), (90.0, 90), (10**9, 600)])
def test_a_service_may_ask_for_time(asked: float | None, waits: int) -> None:
    watch = Watch(7, Cursor())
    assert watch.is_due(HOST, Listed(EIGHT), 0)
    watch.fail(0, asked)
    assert [watch.is_due(HOST, Listed(EIGHT), now) for now in (waits - 1, waits)] == [False, True]


# All of it together.


@dataclass
class Datafold:
    """A service with one monitor, whose list of runs may be behind.

    :param time_of_alerts: whether the last alert is the time of the alert, or of its run's start.
    """

    time_of_alerts: bool
    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    before: dict[int, dict[str, Any]] = field(default_factory=dict)
    last_alert: datetime | None = None

    def start(self, clock: float) -> None:
        started = run(len(self.runs) + 1, "checking", started_at=_at(clock).isoformat())
        self.runs |= dict([started])

    def end(self, which: int, state: str, clock: float) -> None:
        going = [id_ for id_, each in self.runs.items() if not has_ended(each)]
        if not going:
            return
        ended = self.runs[going[which % len(going)]]
        ended["state"] = state
        if state == "alert":
            started = datetime.fromisoformat(ended["started_at"])
            alerted = _at(clock) if self.time_of_alerts else started
            self.last_alert = max(self.last_alert or alerted, alerted)

    @property
    def listed(self) -> Listed:
        """What the list of monitors says."""
        last = self.runs.get(max(self.runs, default=0), {})
        alerted = self.last_alert and self.last_alert.isoformat()
        return Listed(alerted, last.get("started_at"), last.get("state"))

    def copy(self) -> dict[int, dict[str, Any]]:
        return {id_: {**each} for id_, each in self.runs.items() if id_ not in self.hidden}


def _at(clock: float) -> datetime:
    return datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=clock)


STARTS = st.tuples(st.sampled_from(["start", "start", "start", "hide", "show"]))
STATES = st.sampled_from(["alert", "alert", "ok", "error"])
ENDS = st.tuples(st.just("end"), st.integers(0, 9), STATES)
FAULTS = st.sampled_from([*[""] * 5, "behind", "unreadable", "killed", "unwritten"])
POLLS = st.tuples(st.just("poll"), FAULTS)
OTHERS = st.sampled_from([("restart",), ("move",)])


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(st.one_of(STARTS, ENDS, ENDS, POLLS, POLLS, POLLS, OTHERS), max_size=40),
    size=st.integers(2, 5),
    time_of_alerts=st.booleans(),
    is_newest_first=st.booleans(),
)
def test_each_alert_is_reported(
    steps: list[tuple[Any, ...]], size: int, time_of_alerts: bool, is_newest_first: bool
) -> None:
    """Once if the store works, else at least once; none that ended before the first look."""
    hosts = {name: Datafold(time_of_alerts) for name in ("a", "b")}
    due: dict[str, set[int]] = {}
    begun: dict[str, set[int]] = {}
    may_be: dict[str, set[int]] = {"a": set(), "b": set()}
    """Those that ended when the runs could not be read for the first time, or were not listed."""
    reported: Counter[tuple[str, int]] = Counter()
    stored: Any = None
    watch, host, clock, is_exact = Watch(7, Cursor()), "a", 0.0, True

    def poll(fault: str) -> None:
        nonlocal watch, stored
        service = hosts[host]
        listed_as = service.listed
        is_due = watch.is_due(host, listed_as, clock)
        ended = {id_ for id_, each in service.runs.items() if has_ended(each)}
        begun.setdefault(host, ended)
        if is_due and fault == "unreadable":
            watch.fail(clock, None)
        if not is_due or fault == "unreadable":
            return
        listed = service.before if fault == "behind" else service.copy()
        ids = sorted(listed, reverse=is_newest_first)
        _, runs = read(ids, size, watch.back_to(host))
        runs = Runs({id_: listed[id_] for id_ in runs.found}, runs.is_cut)
        found = watch.take(host, listed_as, runs, clock)
        assert not found.given_up
        if found.is_first:
            # It reads one page.
            newest = max(runs.found, default=0)
            going = {id_ for id_, each in runs.found.items() if not has_ended(each)}
            due[host] = going | {id_ for id_ in service.runs if id_ > newest}
            may_be[host] = (service.hidden | ended - begun[host]) - due[host]
        if fault != "unwritten":
            stored = watch.cursor.dump()
        for alert in found.alerts:
            reported[host, alert["run_id"]] += 1
            if fault == "killed":
                watch = Watch(7, Cursor.load(stored))
                return
            watch.note(host, alert)
            if fault != "unwritten":
                stored = watch.cursor.dump()

    for step in steps:
        clock += 60
        match step:
            case ("start" | "hide" as how,):
                hosts[host].start(clock)
                if how == "hide":
                    # It is listed later than those that follow.
                    hosts[host].hidden.add(len(hosts[host].runs))
                due.setdefault(host, set()).add(len(hosts[host].runs))
            case ("show",):
                hosts[host].hidden = set()
            case ("end", which, state):
                hosts[host].end(which, state, clock)
            case ("poll", fault):
                is_exact &= fault not in ("killed", "unwritten")
                poll(fault)
                hosts[host].before = hosts[host].copy()
            case ("restart",):
                watch = Watch(7, Cursor.load(stored))
            case ("move",):
                host = "b" if host == "a" else "a"
    for name in hosts:
        host = name
        # Each run is listed at last, and the next one ends well.
        hosts[host].hidden = set()
        hosts[host].start(clock)
        hosts[host].runs[len(hosts[host].runs)]["state"] = "ok"
        for _ in range(3):
            clock *= 10
            poll("")

    for name, service in hosts.items():
        for id_, each in service.runs.items():
            times = reported[name, id_]
            if each["state"] != "alert":
                assert times == 0
            elif id_ in may_be[name]:
                assert times <= 1 or not is_exact
            elif id_ in due[name]:
                assert times == 1 or (times > 1 and not is_exact)
            else:
                assert times == 0 or not is_exact
