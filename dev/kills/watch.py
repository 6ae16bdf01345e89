"""DAGs that start when a monitor alerts, while the triggerer is killed and restarted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from dev.kills.patience import CaseError, wait_until
from dev.kills.plan import POLL_INTERVAL, TOLD, WATCHES
from dev.kills.scene import Scene

_ORDERS, _CUSTOMERS = WATCHES
_TO_NOTE = 5.0
"""Seconds until a trigger has stored that it reported an alert: the documented three, plus two."""
_TO_START = 8.0
"""Seconds within which a DAG that starts once too often has started."""


class Watch:
    """The DAGs that watch monitors, during a case.

    :param scene: where they are.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.alerts: dict[str, list[int]] = {dag_id: [] for dag_id in WATCHES}
        """The runs that alerted, by the DAG that watches their monitor."""
        self._before = {dag_id: self._told(dag_id) for dag_id in WATCHES}

    def alert(self, dag_id: str) -> None:
        """Make the monitor alert that a DAG watches.

        :param dag_id: the DAG.
        """
        self.alerts[dag_id].append(self.scene.service.alert(WATCHES[dag_id]))

    def told(self, dag_id: str) -> list[int]:
        """Return the runs of its monitor for which a DAG has started.

        :param dag_id: the DAG.
        """
        return self._told(dag_id)[len(self._before[dag_id]) :]

    def wait_for_poll(self) -> None:
        """Wait for two more reads of the list of monitors, so that one is complete."""
        before = self.scene.service.polls()
        wait_until("the monitors were listed", lambda: self.scene.service.polls() >= before + 2)

    def wait_for_look(self, dag_id: str, before: int = 0) -> None:
        """Wait until a trigger reads the runs of the monitor that a DAG watches.

        :param dag_id: the DAG.
        :param before: how often they had been read.
        """
        monitor_id = WATCHES[dag_id]
        wait_until(
            f"the runs of monitor {monitor_id} were read",
            lambda: self.scene.service.looks(monitor_id) > before,
        )

    def wait_until_told(self) -> None:
        """Wait until the DAGs have started for all alerts."""
        for dag_id, runs in self.alerts.items():
            wait_until(
                f"{dag_id} had started for the runs {runs}",
                lambda dag_id=dag_id, runs=runs: set(self.told(dag_id)) >= set(runs),  # type: ignore[misc]
            )

    def _told(self, dag_id: str) -> list[int]:
        person = self.scene.person
        return [
            run
            for run_id in person.run_ids(dag_id)
            for run in person.returned(dag_id, run_id, TOLD)
        ]


@dataclass(frozen=True)
class WatchCase:
    """Something that happens to watches.

    :param name: the name of the case.
    :param title: what happens.
    :param play: makes it happen.
    :param most: how often a DAG may start for the same alert.
    """

    name: str
    title: str
    play: Callable[[Watch], None]
    most: int = 1


@dataclass(frozen=True)
class WatchResult:
    """The outcome of a case.

    :param case: the case.
    :param alerts: the runs that alerted.
    :param told: the runs that a DAG was started for.
    :param trouble: why the case did not end, empty if it did.
    """

    case: WatchCase
    alerts: tuple[tuple[str, int], ...]
    told: tuple[tuple[str, int], ...]
    trouble: str

    @property
    def is_right(self) -> bool:
        """Whether the outcome is the expected one."""
        times = Counter(self.told)
        return (
            not self.trouble
            and set(times) == set(self.alerts)
            and max(times.values()) <= self.case.most
        )

    def __str__(self) -> str:
        line = (
            f"{'ok' if self.is_right else 'FAILED':8}{self.case.title:44}"
            f"{len(self.alerts)} alerts, {len(self.told)} reported"
        )
        return f"{line}\n        {self.trouble}" if self.trouble else line


def play_watch(case: WatchCase, scene: Scene) -> WatchResult:
    """Play a case, and return its outcome.

    :param case: the case.
    :param scene: Airflow and the service.
    """
    watch, trouble = Watch(scene), ""
    try:
        case.play(watch)
        watch.wait_until_told()
        time.sleep(_TO_START)
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    return WatchResult(
        case,
        alerts=_pairs(lambda dag_id: watch.alerts[dag_id]),
        told=_pairs(watch.told),
        trouble=trouble,
    )


def _pairs(runs: Callable[[str], list[int]]) -> tuple[tuple[str, int], ...]:
    return tuple((dag_id, run) for dag_id in WATCHES for run in runs(dag_id))


def alert_one(watch: Watch) -> None:
    """Let one of two monitors alert, and count the requests of both watches meanwhile."""
    for dag_id in WATCHES:
        watch.wait_for_look(dag_id)
    service = watch.scene.service
    began, before = time.monotonic(), service.polls()
    watch.alert(_ORDERS)
    watch.wait_until_told()
    time.sleep(_TO_START)
    intervals = (time.monotonic() - began) / POLL_INTERVAL
    # Two independent triggers would poll almost twice in each interval.
    if service.polls() - before > 1.3 * intervals:
        raise CaseError(f"{service.polls() - before} polls in {intervals:.1f} intervals")


def kill_later(watch: Watch) -> None:
    """Kill the triggerer after it has stored that it reported an alert."""
    watch.alert(_ORDERS)
    watch.wait_until_told()
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
    before = watch.scene.service.looks(WATCHES[_ORDERS])
    watch.alert(_ORDERS)
    watch.wait_for_look(_ORDERS, before)
    watch.scene.kill_triggerer()
    watch.scene.start_triggerer()
    watch.wait_for_poll()
    watch.wait_until_told()
    time.sleep(_TO_NOTE)


WATCH_CASES = (
    WatchCase("alert_of_one", "one of two watched monitors alerts", alert_one),
    WatchCase("killed_after_alert", "triggerer killed, the alert is stored", kill_later),
    WatchCase("alert_while_away", "alerts while there is no triggerer", alert_without_triggerer),
    WatchCase("killed_at_alert", "triggerer killed, the alert is not stored", kill_at_once, most=2),
)
"""In this order, one after the other."""
