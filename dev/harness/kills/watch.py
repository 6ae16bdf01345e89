"""DAGs that start when a monitor alerts, while the triggerer is killed and restarted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dev.harness.kills.gate import CaseError, wait_until
from dev.harness.kills.plan import REPORTED, WATCHES
from dev.harness.kills.scene import Scene

_ORDERS, _CUSTOMERS = WATCHES
_TO_NOTE = 5.0
"""Seconds until a trigger has stored that it reported an alert: the documented three, plus two."""
_TO_START = 8.0
"""Seconds within which a DAG that starts once too often has started."""

Alerts = Counter[tuple[str, int]]
"""DAGs, and runs of the monitors that they watch."""


@dataclass(frozen=True)
class WatchCase:
    """Something that happens to watches, whose alerts must each start a DAG."""

    name: str
    act: Callable[[Scene], Alerts]
    most: int = 1

    def play(self, scene: Scene) -> str:
        before = Counter(_reported(scene))
        wait_until("the monitors were read", lambda: all(_looks(scene, dag) for dag in WATCHES))
        alerts = self.act(scene)
        wait_until(f"DAGs had started for {sorted(alerts)}", lambda: _has_reported(scene, alerts))
        time.sleep(_TO_START)
        times = Counter(_reported(scene)) - before
        found = f"{len(alerts)} alerts, {times.total()} reported"
        if times.keys() != alerts.keys() or max(times.values()) > self.most:
            raise CaseError(found)
        return found


def alert(scene: Scene, *dag_ids: str) -> Alerts:
    """Make the monitors alert that some DAGs watch."""
    return Counter((dag_id, scene.service.alert(WATCHES[dag_id])) for dag_id in dag_ids)


def restart(scene: Scene) -> None:
    """Kill the triggerer, and wait until another one has read the monitors."""
    scene.triggerer.kill()
    scene.start_triggerer()

    def reads() -> int:
        return scene.service.statuses("GET", "/api/v1/monitors.*").total()

    before = reads()
    # Some more than a look takes, so that one is complete.
    wait_until("the monitors were read again", lambda: reads() >= before + 6)


def alert_one(scene: Scene) -> Alerts:
    """Let one of two monitors alert."""
    return alert(scene, _ORDERS)


def kill_later(scene: Scene) -> Alerts:
    """Kill the triggerer after it has stored that it reported an alert."""
    alerts = alert(scene, _ORDERS)
    wait_until("the DAG had started", lambda: _has_reported(scene, alerts))
    time.sleep(_TO_NOTE)
    restart(scene)
    return alerts


def alert_without_triggerer(scene: Scene) -> Alerts:
    """Let both monitors alert while there is no triggerer."""
    scene.triggerer.kill()
    alerts = alert(scene, _ORDERS, _CUSTOMERS, _ORDERS)
    scene.start_triggerer()
    return alerts


def kill_at_once(scene: Scene) -> Alerts:
    """Kill the triggerer before it has stored that it reported an alert."""
    before = _looks(scene, _ORDERS)
    alerts = alert(scene, _ORDERS)
    wait_until("it was read", lambda: _looks(scene, _ORDERS) > before)
    restart(scene)
    return alerts


def _looks(scene: Scene, dag_id: str) -> int:
    """Return how often the runs of the monitor were read that a DAG watches."""
    return scene.service.statuses("GET", f"/api/v1/monitors/{WATCHES[dag_id]}/runs").total()


def _has_reported(scene: Scene, alerts: Alerts) -> bool:
    return alerts.keys() <= set(_reported(scene))


def _reported(scene: Scene) -> Iterator[tuple[str, int]]:
    for runs in (f"dags/{dag_id}/dagRuns" for dag_id in WATCHES):
        for run in scene.get(runs, state="success", limit=100)["dag_runs"]:
            value = f"{runs}/{run['dag_run_id']}/taskInstances/{REPORTED}/xcomEntries/return_value"
            for number in scene.get(value, stringify="false")["value"]:
                yield run["dag_id"], number


WATCH_CASES = (
    WatchCase("alert_of_one", alert_one),
    WatchCase("killed_after_alert", kill_later),
    WatchCase("alert_while_away", alert_without_triggerer),
    WatchCase("killed_at_alert", kill_at_once, most=2),
)
"""In this order, one after the other."""
