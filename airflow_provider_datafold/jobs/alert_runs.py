"""The runs of a monitor, as they are read from the newest back. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeGuard

from airflow_provider_datafold.exceptions import DatafoldAnswerError
from airflow_provider_datafold.jobs.job import MONITOR_RUN, State

MOST_RUNS = 1000
"""As many runs of a monitor are read at one look. That bounds what is kept of it, too."""

LATE = 50
"""So many runs may be visible before one with a lower id, whose alert is nevertheless new."""


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
        """Read a page. An item without an id is left out."""
        items, total = answer.get(name), answer.get("total_pages")
        if not isinstance(items, list) or not is_integer(total):
            # An empty list in its place would make old alerts new ones at the next look.
            raise DatafoldAnswerError(
                f"the response lacks the list {name!r} or the number 'total_pages'"
            )
        found = (item for item in items if isinstance(item, dict))
        return cls(
            {item[id_name]: item for item in found if is_integer(item.get(id_name))},
            max(total, 1),
        )


@dataclass(frozen=True)
class Runs:
    """The runs of a monitor that were read.

    :param found: by their ids.
    :param is_cut: whether there may be more that had to be read.
    :param is_whole: whether these are all that the monitor has.
    """

    found: Mapping[int, Mapping[str, Any]]
    is_cut: bool = False
    is_whole: bool = False

    def shows(self, last_alert: Any, *, is_missed: bool = False) -> bool:
        """Whether they are at least as new as the last alert that the monitor speaks of.

        The list of runs may be behind the list of monitors. The contract does not say whether the
        time of an alert is the start of its run, or a later moment. With ``is_missed`` none of
        them is that alert, so that a later run is no proof.
        """
        alerted = _moment(last_alert)
        ended = {id_: run for id_, run in self.found.items() if has_ended(run)}
        begins = {id_: _moment(run.get("started_at")) for id_, run in ended.items()}
        return last_alert is None or any(
            (begin >= alerted and not is_missed)
            or (begin == alerted and ended[id_].get("state") == "alert")
            for id_, begin in begins.items()
            if begin and alerted
        )

    def alerts_after(self, last_alert: Any) -> set[int]:
        """Return the ids of the alerts whose runs started after an earlier one."""
        before = _moment(last_alert)
        alerts = {id_: run for id_, run in self.found.items() if run.get("state") == "alert"}
        begins = {id_: _moment(run.get("started_at")) for id_, run in alerts.items()}
        is_after = (lambda begin: begin > before) if before else (lambda _: last_alert is None)
        return {id_ for id_, begin in begins.items() if begin and is_after(begin)}


def read_back(back_to: float) -> Generator[int, Page, Runs]:
    """Say which pages to read, from the newest run back to an older one.

    It yields the number of a page and receives that page, and returns the runs.
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
        if not page.items or (max(page.items) < back_to and count >= LATE):
            break
        if count >= MOST_RUNS:
            return Runs(found, is_cut=min(found) > back_to)
    return Runs(found, is_whole=number == numbers[-1])


def has_ended(run: Mapping[str, Any]) -> bool:
    """Say whether a run has ended; with a state that nobody knows it has not."""
    return MONITOR_RUN.state_of(run.get("state")) not in (None, State.RUNNING)


def is_integer(value: Any) -> TypeGuard[int]:
    """Say whether a value is an integer, which a boolean is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _moment(value: Any) -> datetime | None:
    with suppress(ValueError):
        # Before Python 3.11, fromisoformat does not accept the letter Z.
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return None
