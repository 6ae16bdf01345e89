"""DAGs that start when a monitor alerts, while the triggerer is killed and restarted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from dev.kills.gate import CaseError, wait_until
from dev.kills.plan import POLL_INTERVAL, REPORTED, WATCHES
from dev.kills.result import Result, trouble_of
from dev.kills.scene import Scene

MONITORS = "/api/v1/monitors"
_ORDERS, _CUSTOMERS = WATCHES
_TO_NOTE = 5.0
"""Seconds until a trigger has stored that it reported an alert: the documented three, plus two."""
_TO_START = 8.0
"""Seconds within which a DAG that starts once too often has started."""


def runs_of(dag_id: str) -> str:
    """Return where the runs are read of the monitor that a DAG watches.

    :param dag_id: the DAG.
    """
    return f"{MONITORS}/{WATCHES[dag_id]}/runs"


class Watch:
    """The DAGs that watch monitors, during a case.

    :param scene: where they are.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.alerts: dict[str, list[int]] = {dag_id: [] for dag_id in WATCHES}
        """The runs that alerted, by the DAG that watches their monitor."""
        self._before = {dag_id: self._reported(dag_id) for dag_id in WATCHES}

    def alert(self, dag_id: str) -> None:
        """Make the monitor alert that a DAG watches.

        :param dag_id: the DAG.
        """
        self.alerts[dag_id].append(self.scene.service.alert(WATCHES[dag_id]))

    def reported(self, dag_id: str) -> list[int]:
        """Return the runs of its monitor for which a DAG has started.

        :param dag_id: the DAG.
        """
        return self._reported(dag_id)[len(self._before[dag_id]) :]

    def wait_for_poll(self) -> None:
        """Wait for two more reads of the list of monitors, so that one is complete."""
        reads = self.scene.service.reads_of
        before = reads(MONITORS)
        wait_until("the monitors were listed", lambda: reads(MONITORS) >= before + 2)

    def wait_for_look(self, dag_id: str, before: int = 0) -> None:
        """Wait until a trigger reads the runs of the monitor that a DAG watches.

        :param dag_id: the DAG.
        :param before: how often they had been read.
        """
        path = runs_of(dag_id)
        wait_until(f"{path} was read", lambda: self.scene.service.reads_of(path) > before)

    def wait_until_reported(self) -> None:
        """Wait until the DAGs have started for all alerts."""
        for dag_id, runs in self.alerts.items():
            wait_until(
                f"{dag_id} had started for the runs {runs}",
                lambda dag_id=dag_id, runs=runs: set(self.reported(dag_id)) >= set(runs),  # type: ignore[misc]
            )

    def _reported(self, dag_id: str) -> list[int]:
        api, runs = self.scene.api, f"dags/{dag_id}/dagRuns"
        value = f"taskInstances/{REPORTED}/xcomEntries/return_value"
        found = api.get(runs, state="success", order_by="id", limit=100)["dag_runs"]
        return [
            number
            for run in found
            for number in api.get(f"{runs}/{run['dag_run_id']}/{value}", stringify="false")["value"]
        ]


@dataclass(frozen=True)
class WatchCase:
    """Something that happens to watches.

    :param name: the name of the case.
    :param act: makes it happen.
    :param most: how often a DAG may start for the same alert.
    """

    name: str
    act: Callable[[Watch], None]
    most: int = 1

    def play(self, scene: Scene) -> Result:
        """Play the case, and return its outcome.

        :param scene: Airflow and the service.
        """
        watch = Watch(scene)

        def play() -> None:
            self.act(watch)
            watch.wait_until_reported()
            time.sleep(_TO_START)

        trouble = trouble_of(play)
        alerts = {(dag_id, run) for dag_id, runs in watch.alerts.items() for run in runs}
        times = Counter((dag_id, run) for dag_id in WATCHES for run in watch.reported(dag_id))
        return Result(
            self.name,
            times.keys() == alerts and max(times.values()) <= self.most,
            f"{len(alerts)} alerts, {times.total()} reported",
            trouble,
        )


def alert_one(watch: Watch) -> None:
    """Let one of two monitors alert, and count the requests of both watches meanwhile."""
    for dag_id in WATCHES:
        watch.wait_for_look(dag_id)
    service = watch.scene.service
    began, before = time.monotonic(), service.reads_of(MONITORS)
    watch.alert(_ORDERS)
    watch.wait_until_reported()
    time.sleep(_TO_START)
    intervals = (time.monotonic() - began) / POLL_INTERVAL
    # Two independent triggers would poll almost twice in each interval.
    polls = service.reads_of(MONITORS) - before
    if polls > 1.3 * intervals:
        raise CaseError(f"{polls} polls in {intervals:.1f} intervals")


def kill_later(watch: Watch) -> None:
    """Kill the triggerer after it has stored that it reported an alert."""
    watch.alert(_ORDERS)
    watch.wait_until_reported()
    time.sleep(_TO_NOTE)
    watch.scene.kill_triggerer()
    watch.scene.start_triggerer()
    watch.wait_for_poll()


def alert_without_triggerer(watch: Watch) -> None:
    """Let both monitors alert while there is no triggerer."""
    watch.scene.kill_triggerer()
    watch.alert(_ORDERS)
    watch.alert(_CUSTOMERS)
    watch.alert(_ORDERS)
    watch.scene.start_triggerer()


def kill_at_once(watch: Watch) -> None:
    """Kill the triggerer before it has stored that it reported an alert."""
    before = watch.scene.service.reads_of(runs_of(_ORDERS))
    watch.alert(_ORDERS)
    watch.wait_for_look(_ORDERS, before)
    watch.scene.kill_triggerer()
    watch.scene.start_triggerer()
    watch.wait_for_poll()
    watch.wait_until_reported()
    time.sleep(_TO_NOTE)


WATCH_CASES = (
    WatchCase("alert_of_one", alert_one),
    WatchCase("killed_after_alert", kill_later),
    WatchCase("alert_while_away", alert_without_triggerer),
    WatchCase("killed_at_alert", kill_at_once, most=2),
)
"""In this order, one after the other."""
