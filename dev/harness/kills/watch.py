"""DAGs that start when a monitor alerts, while the triggerer is killed and restarted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from dev.harness.kills.gate import CaseError, wait_until
from dev.harness.kills.plan import POLL_INTERVAL, REPORTED, WATCHES
from dev.harness.kills.scene import Scene

_MONITORS = "/api/v1/monitors"
_ORDERS, _CUSTOMERS = WATCHES
_TO_NOTE = 5.0
"""Seconds until a trigger has stored that it reported an alert: the documented three, plus two."""
_TO_START = 8.0
"""Seconds within which a DAG that starts once too often has started."""


class Watch:
    """The DAGs that watch monitors, during a case; an alert is a DAG and the run that alerted."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.alerts: set[tuple[str, int]] = set()
        """All alerts so far."""
        self._before = Counter(self._reported())

    def alert(self, dag_id: str) -> None:
        self.alerts.add((dag_id, self.scene.service.alert(WATCHES[dag_id])))

    def reported(self) -> Counter[tuple[str, int]]:
        """Count how often DAGs have started for alerts."""
        return Counter(self._reported()) - self._before

    def polls(self) -> int:
        return self.scene.service.statuses("GET", _MONITORS).total()

    def looks(self, dag_id: str) -> int:
        """Return how often the runs of the monitor were read that a DAG watches."""
        return self.scene.service.statuses("GET", f"{_MONITORS}/{WATCHES[dag_id]}/runs").total()

    def wait_for_look(self, dag_id: str, before: int = 0) -> None:
        wait_until(f"{dag_id} looked", lambda: self.looks(dag_id) > before)

    def wait_until_reported(self) -> None:
        wait_until(
            f"DAGs had started for {sorted(self.alerts)}",
            lambda: self.alerts <= self.reported().keys(),
        )

    def restart(self) -> None:
        """Kill the triggerer, and wait until another one has listed the monitors."""
        self.scene.triggerer.kill()
        self.scene.start_triggerer()
        before = self.polls()
        # Two more, so that one is complete.
        wait_until("the monitors were listed", lambda: self.polls() >= before + 2)

    def _reported(self) -> list[tuple[str, int]]:
        get, found = self.scene.get, []
        for runs in (f"dags/{dag_id}/dagRuns" for dag_id in WATCHES):
            for run in get(runs, state="success", limit=100)["dag_runs"]:
                value = (
                    f"{runs}/{run['dag_run_id']}/taskInstances/{REPORTED}/xcomEntries/return_value"
                )
                numbers = get(value, stringify="false")["value"]
                found += [(run["dag_id"], number) for number in numbers]
        return found


@dataclass(frozen=True)
class WatchCase:
    """Something that happens to watches."""

    name: str
    act: Callable[[Watch], None]
    most: int = 1

    def play(self, scene: Scene) -> str:
        watch = Watch(scene)
        self.act(watch)
        watch.wait_until_reported()
        time.sleep(_TO_START)
        times = watch.reported()
        found = f"{len(watch.alerts)} alerts, {times.total()} reported"
        if times.keys() != watch.alerts or max(times.values()) > self.most:
            raise CaseError(found)
        return found


def alert_one(watch: Watch) -> None:
    """Let one of two monitors alert, and count the requests of both watches meanwhile."""
    for dag_id in WATCHES:
        watch.wait_for_look(dag_id)
    began, before = time.monotonic(), watch.polls()
    watch.alert(_ORDERS)
    watch.wait_until_reported()
    time.sleep(_TO_START)
    intervals = (time.monotonic() - began) / POLL_INTERVAL
    # Two independent triggers would poll almost twice in each interval.
    polls = watch.polls() - before
    if polls > 1.3 * intervals:
        raise CaseError(f"{polls} polls in {intervals:.1f} intervals")


def kill_later(watch: Watch) -> None:
    """Kill the triggerer after it has stored that it reported an alert."""
    watch.alert(_ORDERS)
    watch.wait_until_reported()
    time.sleep(_TO_NOTE)
    watch.restart()


def alert_without_triggerer(watch: Watch) -> None:
    """Let both monitors alert while there is no triggerer."""
    watch.scene.triggerer.kill()
    watch.alert(_ORDERS)
    watch.alert(_CUSTOMERS)
    watch.alert(_ORDERS)
    watch.scene.start_triggerer()


def kill_at_once(watch: Watch) -> None:
    """Kill the triggerer before it has stored that it reported an alert."""
    before = watch.looks(_ORDERS)
    watch.alert(_ORDERS)
    watch.wait_for_look(_ORDERS, before)
    watch.restart()
    watch.wait_until_reported()
    time.sleep(_TO_NOTE)


WATCH_CASES = (
    WatchCase("alert_of_one", alert_one),
    WatchCase("killed_after_alert", kill_later),
    WatchCase("alert_while_away", alert_without_triggerer),
    WatchCase("killed_at_alert", kill_at_once, most=2),
)
"""In this order, one after the other."""
