"""What the trigger for alerts keeps in an asset's store, which Airflow has from 3.3 on."""

from __future__ import annotations

import time
from typing import Any

from airflow_provider_datafold.jobs.alerts import Cursor

_KEY = "datafold_reported_runs_{}_{}"
"""Key in the asset's store, by connection and monitor: an asset may have several watchers, and two
accounts have the same ids. It lives in users' databases."""

_LONGEST_WAIT = 600.0
"""Seconds that a trigger reports nothing because its store cannot be read. After that it goes on
without: an alert that is reported late or twice is better than none."""


class AlertStore:
    """Keeps how far the alerts of monitors have been reported.

    :param store: the asset's store, as Airflow passes it to a trigger; ``None`` if there is none.
    :param conn_id: the connection over which the monitors are watched.
    :param log: where to say what cannot be kept.
    """

    def __init__(self, store: Any, conn_id: str, log: Any) -> None:
        self._store = store
        self._conn_id = conn_id
        self._log = log
        self._kept: dict[int, Any] = {}
        self._unread_since: dict[int, float] = {}
        self._given_up: set[int] = set()
        self._fails_to_write = False
        if store is None:
            log.info(
                "The asset has no store: an alert that falls into a restart of the triggerer is "
                "not reported."
            )

    async def load(self, monitor_id: int) -> Cursor | None:
        """Return what was kept of a monitor, ``None`` as long as it cannot be read."""
        if self._store is None:
            return Cursor()
        try:
            kept = await self._store.aget(self._key(monitor_id))
        except Exception as error:
            return Cursor() if self._gives_up(monitor_id, error) else None
        cursor = Cursor.load(kept)
        self._kept[monitor_id] = cursor.dump()
        return cursor

    async def keep(self, monitor_id: int, cursor: Cursor) -> None:
        """Keep how far a monitor's alerts have been reported, if that has changed.

        What fails is tried again with the next look. What could not be read is not overwritten:
        the next triggerer goes on from there.
        """
        value = cursor.dump()
        is_known = self._kept.get(monitor_id) == value
        if self._store is None or monitor_id in self._given_up or is_known:
            return
        try:
            await self._store.aset(self._key(monitor_id), value)
        except Exception as error:
            if not self._fails_to_write:
                self._log.warning(
                    "Could not store which alerts were reported (%s). Trying again at each poll. "
                    "If the triggerer restarts before that succeeds, it reports alerts twice, and "
                    "of a monitor that it has not watched before it does not report those in "
                    "between.",
                    type(error).__name__,
                )
            self._fails_to_write = True
        else:
            self._kept[monitor_id] = value
            self._fails_to_write = False

    def _key(self, monitor_id: int) -> str:
        return _KEY.format(self._conn_id, monitor_id)

    def _gives_up(self, monitor_id: int, error: Exception) -> bool:
        """Decide whether to go on without what was kept of a monitor."""
        # Airflow's own way to say that two assets share this trigger, and with it the events.
        if type(error) is ValueError:
            self._store = None
            self._log.warning(
                "The asset has no usable store (ValueError), so an alert that falls into a restart "
                "of the triggerer is not reported. Watch each asset with arguments of its own."
            )
            return True
        now = time.monotonic()
        if monitor_id not in self._unread_since:
            self._log.warning(
                "Could not read which alerts of monitor %d were reported (%s). Trying again at "
                "each poll, for %d minutes; until then its alerts are not reported.",
                monitor_id,
                type(error).__name__,
                _LONGEST_WAIT / 60,
            )
        if now - self._unread_since.setdefault(monitor_id, now) < _LONGEST_WAIT:
            return False
        self._given_up.add(monitor_id)
        self._log.warning(
            "Still cannot read which alerts of monitor %d were reported (%s). Reporting those from "
            "now on. The next start of the triggerer reports the earlier ones, and these again.",
            monitor_id,
            type(error).__name__,
        )
        return True
