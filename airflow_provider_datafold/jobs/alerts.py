"""Which alerts of a monitor are new. Nothing here does I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_provider_datafold.jobs.alert_runs import LATE, Runs, has_ended, is_integer
from airflow_provider_datafold.jobs.job import MONITOR_RUN, State

MOST_HOSTS = 4
"""For as many hosts it is kept what was reported."""

_PAUSE = 0.1
"""A part of the time for which something is not settled, until the next look."""

_LONGEST_PAUSE = 600.0
"""Seconds until runs are read again that could not be read: an alert is late by as much."""


class Listed(NamedTuple):
    """What the list of monitors says of one.

    :param last_alert: when it alerted last.
    :param last_run: when it ran last.
    :param state: of that run.
    """

    last_alert: Any = None
    last_run: Any = None
    state: Any = None

    @classmethod
    def of(cls, monitor: Mapping[str, Any]) -> Listed:
        """Read a monitor."""
        return cls(*map(monitor.get, cls._fields))


@dataclass(frozen=True)
class Look:
    """A look at the list of monitors.

    :param host: the host that was asked, with its scheme.
    :param monitors: by their ids.
    :param time: when that was, by a clock that never goes back.
    :param names: the names of the monitors.
    """

    host: str
    monitors: Mapping[int, Listed]
    time: float = field(compare=False)
    names: Mapping[int, Any] = field(default_factory=dict, compare=False)


@dataclass
class Progress:
    """How far the alerts of a monitor have been reported, on one host.

    :param floor: the id up to which all runs are known, ``None`` before the first look.
    :param pending: the ids of known runs that have not ended, or whose alert has not been reported.
    :param seen: the ids of the newest known runs, above the floor.
    :param last_alert: when the monitor had alerted last when the watch began.
    """

    floor: int | None = None
    pending: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    last_alert: Any = None

    @property
    def back_to(self) -> float:
        """The oldest run that a look needs; before the first one the newest will do."""
        if self.floor is None:
            return math.inf
        return min(self.pending, default=max(self.seen, default=self.floor) + 1)

    def take(self, runs: Runs, last_alert: Any) -> list[int]:
        """Learn what became of the runs, and return those whose alert is new, the oldest first.

        At the first look, what has ended needs no report, unless the monitor has alerted since the
        watch began: then the runs could not be read before.
        """
        found = runs.found
        ended = {run_id for run_id, run in found.items() if has_ended(run)}
        alerts = {run_id for run_id, run in found.items() if run.get("state") == "alert"}
        if self.floor is None:
            has_alerted = last_alert != self.last_alert
            alerts = runs.alerts_after(self.last_alert) if has_alerted else set()
            self.floor = 0 if runs.is_whole else min(found, default=1) - 1
        floor = self.floor
        self.pending |= {run_id for run_id in found if run_id > floor} - self.seen
        self.seen |= {run_id for run_id in found if run_id > floor}
        for run_id in sorted(self.seen)[:-LATE]:
            self.seen.remove(run_id)
            self.floor = run_id
        self.pending -= ended - alerts
        return sorted(self.pending & alerts)

    def give_up(self, runs: Iterable[int]) -> list[int]:
        """Forget pending runs that are older than all that can be read, and return their ids."""
        oldest = min(runs, default=0)
        lost = {run_id for run_id in self.pending if run_id < oldest}
        self.pending -= lost
        return sorted(lost)


@dataclass
class Cursor:
    """How far the alerts of a monitor have been reported, by host: each has run ids of its own.

    :param hosts: by host; the one that was used last is the last.
    """

    hosts: dict[str, Progress] = field(default_factory=dict)

    def at(self, host: str, last_alert: Any = None) -> Progress:
        """Return what was reported of a host.

        When the monitor alerted last counts only the first time.
        """
        progress = self.hosts.pop(host, None) or Progress(last_alert=last_alert)
        self.hosts[host] = progress
        for other in [*self.hosts][:-MOST_HOSTS]:
            del self.hosts[other]
        return progress

    def dump(self) -> dict[str, Any]:
        """Return the cursor as JSON."""
        return {
            host: {
                "floor": progress.floor,
                "pending": sorted(progress.pending),
                "seen": sorted(progress.seen),
                "last_alert": progress.last_alert,
            }
            for host, progress in self.hosts.items()
        }

    @classmethod
    def load(cls, value: Any) -> Cursor:
        """Make a cursor of what :meth:`dump` returned.

        What does not fit is left out.
        """
        hosts = value.items() if isinstance(value, Mapping) else ()
        found = {host: _progress(kept) for host, kept in hosts}
        return cls({host: progress for host, progress in found.items() if progress})


@dataclass(frozen=True)
class Found:
    """What a look has found.

    :param alerts: those to be reported, the oldest first, with ``monitor_id``, ``run_id`` and
        ``diff_id``.
    :param given_up: the runs that had not ended and are no longer listed.
    :param is_first: whether it was the first look.
    """

    alerts: list[dict[str, Any]]
    given_up: list[int]
    is_first: bool


class Watch:
    """Watches a monitor: when to read its runs, and which of them to report.

    :param monitor_id: the monitor.
    :param cursor: how far its alerts have been reported.
    """

    def __init__(self, monitor_id: int, cursor: Cursor) -> None:
        self.monitor_id = monitor_id
        self.cursor = cursor
        self._host = ""
        self._listed = Listed()
        self._is_missed = False
        self._since = 0.0
        self._next_look = 0.0
        self._failing_since: float | None = None

    @property
    def is_failing(self) -> bool:
        """Whether its runs could not be read the last time."""
        return self._failing_since is not None

    def is_due(self, host: str, listed: Listed, now: float) -> bool:
        """Say whether to read its runs: when it has alerted, and when a run has ended.

        ``now`` is the time of a clock that never goes back.
        """
        self.cursor.at(host, listed.last_alert)
        is_same = host == self._host
        if is_same and MONITOR_RUN.state_of(listed.state) is State.RUNNING:
            listed = self._listed._replace(last_alert=listed.last_alert)
        if (host, listed) != (self._host, self._listed):
            # Until that alert is found.
            self._is_missed = is_same and (
                self._is_missed or listed.last_alert != self._listed.last_alert
            )
            self._host, self._listed = host, listed
            self._since = self._next_look = now
        return now >= self._next_look

    def back_to(self, host: str) -> float:
        """Return the id of the oldest run that must be read."""
        return self.cursor.at(host).back_to

    def take(self, host: str, listed: Listed, runs: Runs, now: float) -> Found:
        """Learn what became of its runs.

        While a run goes on, or the list of runs is behind the list of monitors, another look
        follows: an older run may alert without a change of the monitor's last alert.
        """
        self._failing_since = None
        progress = self.cursor.at(host)
        is_first = progress.floor is None
        ids = progress.take(runs, listed.last_alert)
        given_up = progress.give_up(runs.found)
        self._is_missed = self._is_missed and not ids
        is_shown = runs.shows(listed.last_alert, is_missed=self._is_missed)
        is_settled = is_shown and len(progress.pending) == len(ids)
        self._next_look = math.inf if is_settled else now + (now - self._since) * _PAUSE
        alerts = [
            {
                "monitor_id": self.monitor_id,
                "run_id": run_id,
                "diff_id": runs.found[run_id].get("diff_id"),
            }
            for run_id in ids
        ]
        return Found(alerts, given_up, is_first)

    def fail(self, now: float, retry_after: float | None) -> None:
        """Take note that its runs could not be read. They are read again less and less often."""
        if self._failing_since is None:
            self._failing_since = now
        pause = max((now - self._failing_since) * _PAUSE, retry_after or 0.0)
        self._next_look = now + min(pause, _LONGEST_PAUSE)

    def note(self, host: str, alert: Mapping[str, Any]) -> None:
        """Take an alert as reported."""
        self.cursor.at(host).pending.discard(alert["run_id"])


def _progress(kept: Any) -> Progress | None:
    if not isinstance(kept, Mapping) or not (
        is_integer(floor := kept.get("floor", "")) or floor is None
    ):
        return None
    pending, seen = (
        {id_ for id_ in ids if is_integer(id_)} if isinstance(ids, list) else set()
        for ids in map(kept.get, ("pending", "seen"))
    )
    return Progress(floor, pending, seen, kept.get("last_alert"))
