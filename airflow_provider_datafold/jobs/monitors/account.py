"""Monitors as code: the monitors of an account, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.exceptions import DatafoldAnswerError
from airflow_provider_datafold.jobs.monitors import ownership

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook

_PAGE_SIZE = 100
_MOST_PAGES = 1000
"""Of the list, so that no service can make a task read without end."""

_MOST_READINGS = 3


@dataclass(frozen=True)
class Found:
    """A monitor in the account.

    :param monitor_id: its id.
    :param name: its name, empty if it has none.
    :param kind: its kind, ``None`` if the API does not say.
    :param tags: all of its tags.
    :param is_enabled: whether its schedule is on.
    """

    monitor_id: int
    name: str
    kind: str | None
    tags: tuple[str, ...]
    is_enabled: bool

    @property
    def owners(self) -> set[tuple[str, str]]:
        """The pairs of set and slug that it belongs to: one, unless someone wrote such a tag."""
        return ownership.owners(self.tags)


def read_account(hook: JobHook) -> list[Found]:
    """Read all monitors, each once.

    Without the filter for tags: what it does with case or with parts of tags is published nowhere,
    and a monitor that it missed would be created again.
    """
    for _ in range(_MOST_READINGS):
        found, counts = _read(hook)
        # What is deleted meanwhile moves the others to earlier pages, past the one that is next.
        if counts == sorted(counts):
            return list(found.values())
    raise _unreadable("monitors were deleted each time while it was read")


def _read(hook: JobHook) -> tuple[dict[int, Found], list[int]]:
    """Read the list once, and return how many each page says there are, too."""
    found: dict[int, Found] = {}
    counts: list[int] = []
    page, pages = 1, 1
    while page <= pages:
        if page > _MOST_PAGES:
            raise _unreadable(f"it has not ended after {_MOST_PAGES} pages")
        answer = hook.list_monitors(
            page=page, page_size=_PAGE_SIZE, order_by="id", sort_order="asc"
        )
        listed, total = answer.get("monitors"), answer.get("total_pages")
        if not isinstance(listed, list) or not isinstance(total, int):
            raise _unreadable("it has no 'monitors' or 'total_pages'")
        found |= {monitor.monitor_id: monitor for monitor in map(_found, listed)}
        if isinstance(count := answer.get("count"), int):
            counts.append(count)
        page, pages = page + 1, total
    return found, counts


def by_slug(account: Iterable[Found], set_name: str) -> dict[str, list[Found]]:
    """Return the monitors of a set by their slugs."""
    mine: dict[str, list[Found]] = {}
    for monitor in account:
        for owner, slug in monitor.owners:
            if owner == set_name:
                mine.setdefault(slug, []).append(monitor)
    return mine


def _found(monitor: Any) -> Found:
    if not isinstance(monitor, Mapping) or not isinstance(monitor.get("id"), int):
        raise _unreadable("a monitor in it has no id")
    tags = monitor.get("tags") or ()
    return Found(
        monitor["id"],
        str(monitor.get("name") or ""),
        monitor.get("monitor_type"),
        tuple(map(str, tags)),
        bool(monitor.get("enabled")),
    )


def _unreadable(reason: str) -> DatafoldAnswerError:
    return DatafoldAnswerError(
        f"The response to GET /api/v1/monitors is not a list of the account's monitors: {reason}. "
        f"Without it, monitors could be created twice."
    )
