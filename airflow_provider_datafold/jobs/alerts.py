"""Which alerts of a monitor are new. Nothing here does I/O."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeGuard

from airflow_provider_datafold.exceptions import DatafoldAnswerError
from airflow_provider_datafold.jobs.job import MONITOR_RUN, State

MOST_RUNS = 1000
"""As many runs of a monitor are read at one look. That bounds what is kept of it, too."""

MOST_HOSTS = 4
"""For as many hosts it is kept what was reported."""

_PAUSE = 0.1
"""A part of the time for which something is not settled, until the next look."""

_LONGEST_PAUSE = 600.0
"""Seconds until runs are read again that could not be read: an alert is late by as much."""


@dataclass(frozen=True)
class Page:
    """A page of a list.

    :param items: by their ids.
    :param total: the number of pages.
    """

    items: Mapping[int, Mapping[str, Any]]
    total: int

    @classmethod
    def of(cls, answer: Mapping[str, Any], name: str, id_name: str) -> Page:
        """Read a page. An item without an id is left out.

        :param answer: the response.
        :param name: the field with the items.
        :param id_name: their field with the id.
        :raises DatafoldAnswerError: it has no items, or does not say how many pages there are.
        """
        items, total = answer.get(name), answer.get("total_pages")
        if not isinstance(items, list) or not _is_integer(total):
            # An empty list in its place would make old alerts new ones at the next look.
            raise DatafoldAnswerError(
                f"the response lacks the list {name!r} or the number 'total_pages'"
            )
        found = (item for item in items if isinstance(item, dict))
        return cls(
            {item[id_name]: item for item in found if _is_integer(item.get(id_name))},
            max(total, 1),
        )


@dataclass(frozen=True)
class Look:
    """A look at the list of monitors.

    :param host: the host that was asked, with its scheme.
    :param last_alerts: by monitor, when it alerted last.
    :param time: when that was, by a clock that never goes back.
    :param names: the names of the monitors.
    """

    host: str
    last_alerts: Mapping[int, Any]
    time: float = field(compare=False)
    names: Mapping[int, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Runs:
    """The runs of a monitor that were read.

    :param found: by their ids.
    :param is_cut: whether there may be more that had to be read.
    """

    found: Mapping[int, Mapping[str, Any]]
    is_cut: bool = False

    def shows(self, last_alert: Any) -> bool:
        """Whether they are at least as new as the last alert that the monitor speaks of.

        The list of runs may be behind the list of monitors. The contract does not say whether the
        time of an alert is the start of its run, or a later moment.

        :param last_alert: when the monitor alerted last, as the list of monitors says.
        """
        alerted = _moment(last_alert)
        started = (_moment(run.get("started_at")) for run in self.found.values() if has_ended(run))
        return last_alert is None or (
            alerted is not None and any(each and each >= alerted for each in started)
        )


def read_back(back_to: float) -> Generator[int, Page, Runs]:
    """Say which pages to read, from the newest run back to an older one.

    :param back_to: the id of the oldest run that is needed.
    :yield: the number of a page, and receives that page.
    :return: the runs.
    """
    first = yield 1
    # The contract does not say which end of the list is the newest.
    ids = [*first.items]
    is_newest_first = not ids or ids[0] >= ids[-1]
    numbers = range(1, first.total + 1) if is_newest_first else range(first.total, 0, -1)
    found: dict[int, Mapping[str, Any]] = {}
    count = 0
    for number in numbers:
        page = first if number == 1 else (yield number)
        found.update(page.items)
        count += len(page.items)
        if max(page.items, default=-math.inf) < back_to:
            break
        if count >= MOST_RUNS:
            return Runs(found, is_cut=min(found) > back_to)
    return Runs(found)


@dataclass
class Progress:
    """How far the alerts of a monitor have been reported, on one host.

    :param newest: the id of its newest run that is known, ``None`` before the first look.
    :param pending: the ids of those among the known that have not ended, or whose alert has not
        been reported.
    """

    newest: int | None = None
    pending: set[int] = field(default_factory=set)

    @property
    def back_to(self) -> float:
        """The oldest run that a look needs; before the first one the newest will do."""
        return math.inf if self.newest is None else min(self.pending, default=self.newest + 1)

    def take(self, runs: Iterable[tuple[int, Mapping[str, Any]]]) -> list[int]:
        """Learn what became of the runs. At the first look, what has ended needs no report.

        :param runs: the runs with their ids.
        :return: the ids of those whose alert is to be reported, the oldest first.
        """
        found = dict(runs)
        ended = {run_id for run_id, run in found.items() if has_ended(run)}
        alerts = {run_id for run_id, run in found.items() if run.get("state") == "alert"}
        if self.newest is None:
            self.pending, alerts = {*found}, set()
        else:
            self.pending |= {run_id for run_id in found if run_id > self.newest}
        self.newest = max(found, default=0) if self.newest is None else max(self.newest, *found, 0)
        self.pending -= ended - alerts
        return sorted(self.pending & alerts)

    def give_up(self, runs: Iterable[int]) -> list[int]:
        """Forget pending runs that are older than all that can be read.

        :param runs: the ids that were read.
        :return: the ids of those that are forgotten.
        """
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

    def at(self, host: str) -> Progress:
        """Return what was reported of a host.

        :param host: the host, with its scheme.
        """
        progress = self.hosts[host] = self.hosts.pop(host, Progress())
        for other in [*self.hosts][:-MOST_HOSTS]:
            del self.hosts[other]
        return progress

    def dump(self) -> dict[str, Any]:
        """Return the cursor as JSON."""
        return {
            host: {"newest": progress.newest, "pending": sorted(progress.pending)}
            for host, progress in self.hosts.items()
            if progress.newest is not None
        }

    @classmethod
    def load(cls, value: Any) -> Cursor:
        """Make a cursor of what :meth:`dump` returned.

        :param value: any JSON; what does not fit is left out.
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
        self._news: Any = None
        self._since = 0.0
        self._next_look = 0.0
        self._failing_since: float | None = None

    @property
    def is_failing(self) -> bool:
        """Whether its runs could not be read the last time."""
        return self._failing_since is not None

    def is_due(self, host: str, last_alert: Any, now: float) -> bool:
        """Say whether to read its runs.

        :param host: the host.
        :param last_alert: when it alerted last, as the list of monitors says.
        :param now: the time of a clock that never goes back.
        """
        if self._news != (host, last_alert):
            self._news = (host, last_alert)
            self._since = self._next_look = now
        return now >= self._next_look

    def back_to(self, host: str) -> float:
        """Return the id of the oldest run that must be read.

        :param host: the host.
        """
        return self.cursor.at(host).back_to

    def take(self, host: str, last_alert: Any, runs: Runs, now: float) -> Found:
        """Learn what became of its runs.

        While a run goes on, or the list of runs is behind the list of monitors, another look
        follows: an older run may alert without a change of the monitor's last alert.

        :param host: the host.
        :param last_alert: as for :meth:`is_due`.
        :param runs: what was read.
        :param now: as for :meth:`is_due`.
        """
        self._failing_since = None
        progress = self.cursor.at(host)
        is_first = progress.newest is None
        ids = progress.take(runs.found.items())
        given_up = progress.give_up(runs.found)
        is_settled = runs.shows(last_alert) and len(progress.pending) == len(ids)
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
        """Take note that its runs could not be read. They are read again less and less often.

        :param now: as for :meth:`is_due`.
        :param retry_after: the seconds that the service asks for, ``None`` if it does not.
        """
        if self._failing_since is None:
            self._failing_since = now
        pause = max((now - self._failing_since) * _PAUSE, retry_after or 0.0)
        self._next_look = now + min(pause, _LONGEST_PAUSE)

    def note(self, host: str, alert: Mapping[str, Any]) -> None:
        """Take an alert as reported.

        :param host: the host.
        :param alert: one that :meth:`take` returned.
        """
        self.cursor.at(host).pending.discard(alert["run_id"])


def has_ended(run: Mapping[str, Any]) -> bool:
    """Say whether a run has ended; with a state that nobody knows it has not.

    :param run: the run.
    """
    return MONITOR_RUN.state_of(run.get("state")) not in (None, State.RUNNING)


def _progress(kept: Any) -> Progress | None:
    if not isinstance(kept, Mapping) or not _is_integer(kept.get("newest")):
        return None
    pending = kept.get("pending")
    ids = {id_ for id_ in pending if _is_integer(id_)} if isinstance(pending, list) else set()
    return Progress(kept["newest"], {id_ for id_ in ids if id_ <= kept["newest"]})


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _moment(value: Any) -> datetime | None:
    with suppress(ValueError):
        # Before Python 3.11, fromisoformat does not accept the letter Z.
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return None
