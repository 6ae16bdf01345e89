"""Which alerts of a monitor are new. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_datafold.waiting.job import MONITOR_RUN, State


@dataclass
class Cursor:
    """How far the alerts of some monitors have been told.

    :param told: by monitor, the id of the newest run that was told of or needs no telling.
    """

    told: dict[int, int] = field(default_factory=dict)

    def begin(self, monitor_id: int, runs: Iterable[Mapping[str, Any]]) -> None:
        """Take what a monitor has done so far as told, except what still goes on.

        :param monitor_id: the monitor.
        :param runs: its runs.
        """
        ended = (_run_id(run) for run in runs if _state(run) is not State.RUNNING)
        self.told[monitor_id] = max(ended, default=0)

    def new_alerts(
        self, monitor_id: int, runs: Iterable[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the alerts that have not been told, the oldest first.

        :param monitor_id: the monitor.
        :param runs: its runs.
        :return: for each, ``monitor_id``, ``run_id`` and ``diff_id``.
        """
        found = {
            _run_id(run): run
            for run in runs
            if run.get("state") == "alert" and _run_id(run) > self.told[monitor_id]
        }
        return [
            {"monitor_id": monitor_id, "run_id": run_id, "diff_id": found[run_id].get("diff_id")}
            for run_id in sorted(found)
        ]

    def note(self, alert: Mapping[str, Any]) -> None:
        """Take an alert as told.

        :param alert: what :meth:`new_alerts` returned.
        """
        self.told[alert["monitor_id"]] = alert["run_id"]

    def dump(self) -> dict[str, int]:
        """Return the cursor as JSON."""
        return {str(monitor_id): run_id for monitor_id, run_id in self.told.items()}

    @classmethod
    def load(cls, value: Any) -> Cursor:
        """Make a cursor of what :meth:`dump` returned.

        :param value: any JSON; what does not fit is left out.
        """
        kept = value if isinstance(value, Mapping) else {}
        return cls(
            {
                int(monitor_id): run_id
                for monitor_id, run_id in kept.items()
                if str(monitor_id).isdecimal() and isinstance(run_id, int)
            }
        )


def _run_id(run: Mapping[str, Any]) -> int:
    run_id = run.get("run_id")
    return run_id if isinstance(run_id, int) else 0


def _state(run: Mapping[str, Any]) -> State:
    return MONITOR_RUN.state_of(run.get("state")) or State.RUNNING
