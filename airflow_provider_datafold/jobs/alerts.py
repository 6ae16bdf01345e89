"""Which alerts of a monitor are to be reported, and what an asset's store keeps of that.

One rule: of a monitor's newest runs, each alert is reported that was not reported before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from airflow_provider_datafold.exceptions import DatafoldAnswerError
from airflow_provider_datafold.jobs.job import MONITOR_RUN

_KEY = "datafold_reported_runs_{}_{}"
"""Key in the asset's store, by connection and monitor: an asset may have several watchers, and two
accounts have the same ids. It lives in users' databases."""


@dataclass(frozen=True)
class Page:
    """A page of a list: its items by their ids, and the number of pages."""

    items: Mapping[int, Mapping[str, Any]]
    total: int

    @classmethod
    def of(cls, answer: Mapping[str, Any], name: str, id_name: str) -> Page:
        """Read a page. An item without an id is left out."""
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

    @property
    def last_pages(self) -> tuple[int, ...]:
        """Return the numbers of the last pages if they, and not this first one, hold the newest.

        The contract does not say which end of a list of runs is the newest. The last page may hold
        a single one.
        """
        ids = [*self.items]
        is_newest_first = not ids or ids[0] >= ids[-1]
        return () if is_newest_first or self.total == 1 else (self.total - 1, self.total)


@dataclass
class Reported:
    """The runs of a monitor whose alerts have been reported.

    :param floor: older runs are not among the newest any more; a list that is behind may show them
        again.
    """

    runs: set[int] = field(default_factory=set)
    floor: int = 0

    def take(self, newest: Page) -> list[int]:
        """Return the runs whose alert is to be reported, the oldest first."""
        if newest.total > 1:
            self.floor = max(self.floor, min(newest.items, default=0))
        self.runs = {run_id for run_id in self.runs if run_id >= self.floor}
        alerts = {id_ for id_, run in newest.items.items() if run.get("state") == "alert"}
        return sorted(id_ for id_ in alerts - self.runs if id_ >= self.floor)

    @classmethod
    def load(cls, kept: Any) -> Reported | None:
        """Make it of what :meth:`dump` returned; ``None`` if that does not fit."""
        match kept:
            case {"runs": [*runs], "floor": int(floor)}:
                return cls({run_id for run_id in runs if _is_integer(run_id)}, floor)
        return None

    def dump(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"runs": sorted(self.runs), "floor": self.floor}


@dataclass
class Attention:
    """Says when to read the runs of a monitor.

    They are read while one goes on, and twice when the list of monitors shows something new: the
    list of runs may be behind.
    """

    shown: Any = None
    is_again: bool = True

    def is_due(self, shown: Any) -> bool:
        """Say whether to read the runs of a monitor of which the list shows this."""
        return self.is_again or shown != self.shown

    def take(self, shown: Any, newest: Page) -> None:
        """Take note of what was read."""
        goes_on = any(not MONITOR_RUN.is_end(run.get("state")) for run in newest.items.values())
        self.is_again = goes_on or shown != self.shown
        self.shown = shown


class Memory:
    """Keeps which alerts were reported, in the asset's store (Airflow 3.3 and later), by monitor.

    Each host has run ids of its own.
    """

    def __init__(self, store: Any, conn_id: str, log: Any) -> None:
        self._store = store
        self._conn_id = conn_id
        self._log = log
        self._known: dict[int, dict[str, Reported]] = {}
        self._kept: dict[int, Any] = {}
        self._fails_to_write = False
        if store is None:
            log.info(
                "The asset has no store: an alert that falls into a restart of the triggerer is "
                "not reported."
            )

    async def load(self, monitor_id: int) -> dict[str, Reported]:
        """Return what was reported of a monitor, by host."""
        if monitor_id not in self._known:
            kept = await self._stored(monitor_id)
            hosts = kept.items() if isinstance(kept, Mapping) else ()
            known = {host: reported for host, each in hosts if (reported := Reported.load(each))}
            self._known[monitor_id] = known
            self._kept[monitor_id] = kept
        return self._known[monitor_id]

    async def keep(self) -> None:
        """Keep what has changed. What fails is tried again with the next look."""
        for monitor_id, known in [*self._known.items()]:
            value = {host: reported.dump() for host, reported in known.items()}
            if self._store is None or value == (self._kept[monitor_id] or {}):
                continue
            try:
                await self._store.aset(self._key(monitor_id), value)
            except Exception as error:
                if not self._fails_to_write:
                    self._log.warning(
                        "Could not store which alerts were reported (%s). Trying again at each "
                        "poll. If the triggerer restarts before that succeeds, it reports alerts "
                        "twice, and of a monitor that it has not watched before it does not report "
                        "those in between.",
                        type(error).__name__,
                    )
                self._fails_to_write = True
            else:
                self._kept[monitor_id] = value
                self._fails_to_write = False

    async def _stored(self, monitor_id: int) -> Any:
        if self._store is None:
            return None
        try:
            return await self._store.aget(self._key(monitor_id))
        except ValueError as error:
            if type(error) is not ValueError:
                raise
            # Airflow's own way to say that two assets share this trigger, and with it the events.
            self._store = None
            self._log.warning(
                "The asset has no usable store (ValueError), so an alert that falls into a restart "
                "of the triggerer is not reported. Watch each asset with arguments of its own."
            )
            return None

    def _key(self, monitor_id: int) -> str:
        return _KEY.format(self._conn_id, monitor_id)


def _is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
