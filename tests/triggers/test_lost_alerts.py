"""No alert is lost, whatever runs, hosts, pages, the store and errors do."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldServerError
from airflow_provider_datafold.jobs.alerts import MOST_HOSTS
from tests.alerts import OTHER_HOST, Service, World, nothing
from tests.conftest import Log

pytest.importorskip("airflow.sdk", reason="Airflow watches assets from 3.0 on")


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_run_that_alerts_after_a_newer_one(world: World, is_restarted: bool) -> None:
    service = world.service
    steps = [
        lambda: service.end(9),
        lambda: service.start(10),
        lambda: service.end(11),
        nothing,
        lambda: service.end(10),
    ]
    if is_restarted:
        reported = [run_id for step in steps for run_id in world.watch(step)]
    else:
        reported = world.watch(*steps)
    assert reported == [11, 10]
    assert world.watch() == []


def test_another_host_with_lower_ids(world: World) -> None:
    first, second = world.service, Service()
    first.end(1000)
    world.watch()
    world.host, world.service = OTHER_HOST, second
    second.end(3)
    assert world.watch(nothing, lambda: second.end(4)) == [4]
    # Back again: nothing is reported twice, and what happened meanwhile is reported.
    world.host, world.service = "https://app.datafold.com", first
    first.end(1001)
    assert world.watch() == [1001]
    for number in range(MOST_HOSTS):
        world.host, world.service = f"https://{number}.example", Service()
        world.watch()
    ((_, kept),) = world.store.kept.items()  # type: ignore[union-attr]
    assert len(kept) == MOST_HOSTS


def test_a_host_that_changes_while_it_watches(world: World, alert_log: Log) -> None:
    first, second = world.service, Service()
    first.end(1000)
    second.end(3)

    def move(host: str, service: Service) -> None:
        world.host, world.service = host, service

    assert world.watch(
        nothing, lambda: move(OTHER_HOST, second), lambda: second.end(4), polls_after=9
    ) == [4]
    assert alert_log.warnings == []


def test_a_host_that_changes_between_two_requests(
    world: World, alert_log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.service, Service()
    second.end(3)
    answer = first.answer

    def then_move(*args: Any, **values: Any) -> Any:
        found = answer(*args, **values)
        world.host, world.service = OTHER_HOST, second
        return found

    monkeypatch.setattr(first, "answer", then_move)
    assert world.watch(nothing, nothing, lambda: second.end(4)) == [4]
    assert alert_log.warnings == [
        "Could not read the runs of monitor 7: the connection has another host since the last poll."
    ]


def test_a_store_that_fails_once_at_the_start(world: World) -> None:
    service, store = world.service, world.store
    assert store
    service.end(1)
    world.watch()
    service.end(2)
    store.read_errors = [RuntimeError("down")]
    assert world.watch() == [2]
    assert world.watch() == []


def test_a_store_that_stays_unreadable_is_not_overwritten(world: World, alert_log: Log) -> None:
    service, store = world.service, world.store
    assert store
    service.end(1)
    world.watch()
    service.end(2)
    store.read_errors = [RuntimeError("a secret")] * 99
    # It reports nothing for ten minutes, then what comes.
    assert world.watch(*[nothing] * 12, lambda: service.end(3)) == [3]
    first, last = alert_log.warnings
    assert "Could not read which alerts of monitor 7 were reported (RuntimeError)" in first
    assert "for 10 minutes" in first
    assert "Still cannot read which alerts of monitor 7 were reported (RuntimeError)" in last
    assert "secret" not in alert_log.text
    store.read_errors = []
    assert world.watch() == [2, 3]


def test_a_store_that_cannot_be_written_for_a_while(world: World, alert_log: Log) -> None:
    service, store = world.service, world.store
    assert store
    store.write_errors = [RuntimeError("a secret")] * 3
    assert world.watch(nothing, nothing, lambda: service.end(1)) == [1]
    (warning,) = alert_log.warnings
    assert "Could not store which alerts were reported (RuntimeError)" in warning
    assert world.watch() == []
    assert "secret" not in alert_log.text


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("largest_page", [100, 30])
def test_hundreds_of_runs_in_a_restart(
    world: World, is_newest_first: bool, largest_page: int
) -> None:
    service = world.service
    service.is_newest_first, service.largest_page = is_newest_first, largest_page
    service.end(*range(1, 300), state="ok")
    world.watch()
    service.end(*range(300, 550), state="ok")
    service.end(425)
    assert world.watch() == [425]


def test_too_many_runs_in_a_restart(world: World, alert_log: Log) -> None:
    service = world.service
    service.end(1, state="ok")
    service.start(2)
    world.watch()
    service.end(*range(3, 2000), state="ok")
    service.end(500, 1500)
    assert world.watch() == [1500]
    cut, open_run = alert_log.warnings
    assert cut == (
        "Monitor 7 has more than 1000 runs since run 2. Alerts of those before run 1000 are not "
        "reported."
    )
    assert open_run == (
        "Run 2 of monitor 7 had not ended, and is no longer among its last 1000 runs. An alert of "
        "this run is not reported."
    )
    assert world.watch(lambda: service.end(2000)) == [2000]


@pytest.mark.parametrize("time_of_alerts", [False, True])
@pytest.mark.parametrize("polls", [2, 300], ids=["for minutes", "for hours"])
def test_two_alerts_between_two_looks_with_a_list_that_is_behind(
    world: World, time_of_alerts: bool, polls: int
) -> None:
    world.service = service = Service(time_of_alerts=time_of_alerts)

    def both() -> None:
        service.end(10, 11)
        service.hides = {11}

    behind = [nothing] * polls
    assert world.watch(nothing, both, *behind, service.show_all, polls_after=30) == [10, 11]
    # It looks less often, the longer it has waited.
    assert service.reads < 70


def test_a_run_that_never_ends_is_read_less_and_less(world: World) -> None:
    world.service.start(1)
    world.watch(polls_after=1000)
    assert world.service.reads < 70


TROUBLE: list[Any] = [
    {"runs": None, "total_pages": 1},
    {"monitors": [], "total_pages": None},
    TypeError("a secret"),
    DatafoldServerError("503: not now"),
]


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("at_the_list", [True, False])
def test_trouble_that_ends_nothing(
    world: World, alert_log: Log, trouble: Any, at_the_list: bool
) -> None:
    service = world.service
    service.end(1)

    def happen() -> None:
        service.end(2)
        good = {"monitors": [{"id": 7, "last_alert": "2030-01-01"}], "total_pages": 1}
        service.answers = [trouble] if at_the_list else [good, trouble]

    assert world.watch(nothing, happen) == [2]
    (warning,) = alert_log.warnings
    what = "list the monitors" if at_the_list else "read the runs of monitor 7"
    assert warning.startswith(f"Could not {what}: ")
    assert "secret" not in alert_log.text


def test_a_lookup_of_the_connection_that_fails(world: World, alert_log: Log) -> None:
    service = world.service
    service.end(1)

    def happen() -> None:
        service.end(2)
        world.lookup_errors = [RuntimeError("a secret"), KeyError("another")]

    assert world.watch(nothing, happen) == [2]
    assert alert_log.warnings == [
        "Could not list the monitors: RuntimeError.",
        "Could not list the monitors: KeyError.",
    ]
