"""No alert is lost and none told twice, whatever happens to the service and to the triggerer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from airflow_provider_datafold.exceptions import DatafoldServerError
from tests.alerts import HOST, OTHER_HOST, Service, World, nothing

pytest.importorskip("airflow.triggers.base").__dict__.get("BaseEventTrigger") or pytest.skip(
    "Airflow watches assets from 3.0 on", allow_module_level=True
)

HISTORIES = int(os.environ.get("ALERT_HISTORIES", "200"))
PAGES = (3, 100)
"""Runs on a page: with few, runs may be no longer listed when they are looked for."""


class Unsteady(Service):
    """A service whose list of runs may be behind, or not be there."""

    def __init__(self, page_size: int, *, is_newest_first: bool) -> None:
        super().__init__()
        self._page_size = page_size
        self._is_newest_first = is_newest_first
        self._before: dict[int, dict[str, Any]] = {}
        self.is_behind = self.is_broken = False
        self.old: set[int] | None = None
        """The alerts that had ended when the runs were read first."""
        self.unsure: set[int] = set()
        """Those of them that were not listed yet."""

    def alerts(self, runs: dict[int, dict[str, Any]]) -> set[int]:
        return {id_ for id_, run in runs.items() if run["state"] == "alert"}

    def answer(self, path: str, page: int, page_size: int, **more: Any) -> Any:
        if not path.endswith("/runs"):
            return super().answer(path, page, page_size, **more)
        if self.is_broken:
            raise DatafoldServerError("503: not now")
        runs = self._before if self.is_behind else self.runs
        if self.old is None:
            self.old = self.alerts(self.runs)
            self.unsure = self.old - self.alerts(runs)
        ids = sorted(runs, reverse=self._is_newest_first)
        size = self._page_size
        listed = [{**runs[id_]} for id_ in ids[(page - 1) * size : page * size]]
        return {"runs": listed, "total_pages": -(-len(ids) // size)}

    def forget(self) -> None:
        """Be as ever at the next poll, but know what was listed."""
        self._before = {id_: {**run} for id_, run in self.runs.items()}
        self.is_behind = self.is_broken = False


STEPS = st.one_of(
    st.tuples(st.just("start")),
    st.tuples(st.just("end"), st.integers(0, 9), st.sampled_from(["alert", "alert", "ok"])),
    st.tuples(st.sampled_from(["behind", "broken", "killed", "move"])),
)
POLLS = st.lists(STEPS, max_size=4)
"""What happens before a poll."""


@settings(max_examples=HISTORIES, deadline=None)
@given(
    lives=st.lists(st.lists(POLLS, max_size=8), min_size=1, max_size=4),
    page_size=st.sampled_from(PAGES),
    is_newest_first=st.booleans(),
)
def test_each_alert_is_reported_once(
    lives: list[list[list[tuple[Any, ...]]]], page_size: int, is_newest_first: bool
) -> None:
    hosts = {
        host: Unsteady(page_size, is_newest_first=is_newest_first) for host in (HOST, OTHER_HOST)
    }
    kills = 0
    with pytest.MonkeyPatch.context() as patch:
        world = World(patch)
        world.service = hosts[HOST]

        def take(*steps: tuple[Any, ...]) -> Callable[[], None]:
            def happen() -> None:
                service = hosts[world.host]
                service.forget()
                for what, *details in steps:
                    match what:
                        case "start":
                            service.start(len(service.runs) + 1)
                        case "end":
                            going = [
                                id_
                                for id_, run in service.runs.items()
                                if run["state"] == "checking"
                            ]
                            if going:
                                service.end(going[details[0] % len(going)], state=details[1])
                        case "behind":
                            service.is_behind = True
                        case "broken":
                            service.is_broken = True
                        case "killed":
                            world.is_killed = True
                        case "move":
                            world.host = OTHER_HOST if world.host == HOST else HOST
                            service = world.service = hosts[world.host]

            return happen

        calm = [take(), nothing, nothing]
        end = [*calm, take(("move",)), *calm]
        for number, life in enumerate(lives, start=1):
            count, world.is_killed = len(world.reported), False
            # What is late is reported without a restart.
            world.watch(*(take(*steps) for steps in life), *(end if number == len(lives) else ()))
            is_killed = any(("killed",) in steps for steps in life) and len(world.reported) > count
            kills += is_killed
        if is_killed:
            world.watch(*end)

    times = Counter(world.reported)
    told_twice = sum(each - 1 for each in times.values())
    assert told_twice <= kills
    for host, service in hosts.items():
        reported = {run_id for reported_of, run_id in times if reported_of == host}
        alerts, old = service.alerts(service.runs), service.old or set()
        assert reported <= alerts - (old - service.unsure)
        if page_size == max(PAGES):
            assert reported >= alerts - old


def test_an_alert_is_reported_though_the_next_run_begins_the_second_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    service = world.service = Unsteady(100, is_newest_first=False)
    service.end(*range(1, 100), state="ok")
    service.start(100)

    def end_and_start() -> None:
        service.end(100)
        service.start(101)

    assert world.watch(nothing, end_and_start) == [100]
