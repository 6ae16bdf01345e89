"""Which data diff belongs to which run of a task, told by a tag. Nothing here does I/O.

Datafold knows no idempotency key, so a gate tags its data diff ``airflow:<task>:<generation>``.
The task is a hash of what names a task's run, in any Airflow that uses the account. The generation
stays the same over lost workers and deferrals, and is another one when the run is cleared, and when
the task asks for something else. Where Airflow does not tell a retry from a clear, a retry is
another generation, too: a second data diff is better than a verdict about the data of before.

A person who copies a data diff in the app copies its tags, so the source counts, too. How a service
shows the other fields says nothing: it may quote, complete and reformat them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.jobs.airflow_version import is_airflow
from airflow_provider_datafold.jobs.job import DATA_DIFF, State

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_CLOCKS_DIFFER = timedelta(hours=1)


class Whose(Enum):
    """Who made a data diff."""

    THIS = auto()
    """This generation of the task's run."""
    EARLIER = auto()
    """Another generation of it."""
    COPY = auto()
    """A person, from one that the task made: with its tags, but another source."""
    OTHERS = auto()


@dataclass(frozen=True)
class Owner:
    """The run of a task that a data diff is made for, and when it began, if that is known."""

    task: str
    generation: str
    since: datetime | None = None

    @property
    def tag(self) -> str:
        """The tag that the data diff gets."""
        return f"{self.task}:{self.generation}"

    def tagged(self, tag: str) -> Owner:
        """Return the same owner with another tag."""
        task, _, generation = tag.rpartition(":")
        return replace(self, task=task, generation=generation)

    def whose(self, diff: Mapping[str, Any]) -> Whose:
        """Return who made a data diff."""
        tags = tags_of(diff)
        if not self._has_tagged(tags):
            return Whose.OTHERS
        if diff.get("source") not in (None, "api"):
            return Whose.COPY
        return Whose.THIS if self.tag in tags else Whose.EARLIER

    def is_excluded_by_tags(self, diff: Mapping[str, Any]) -> bool:
        """Return whether a data diff has tags, of which none is this task's."""
        tags = tags_of(diff)
        return bool(tags) and not self._has_tagged(tags)

    def is_from_before(self, diff: Mapping[str, Any]) -> bool:
        """Return whether a data diff is known to be older than this run."""
        made = created_at(diff)
        return made is not None and self.since is not None and made < self.since - _CLOCKS_DIFFER

    def is_from_since(self, diff: Mapping[str, Any]) -> bool:
        """Return whether a data diff is known to be no older than this run."""
        is_known = created_at(diff) is not None and self.since is not None
        return is_known and not self.is_from_before(diff)

    def _has_tagged(self, tags: Iterable[str]) -> bool:
        return any(tag.startswith(f"{self.task}:") for tag in tags)


def owner_of(context: Context, body: Mapping[str, Any]) -> Owner:
    """Return who asks for a data diff with a body, which has no tag yet."""
    ti, run = context["ti"], context["dag_run"]
    since = getattr(run, "start_date", None)
    names = [ti.dag_id, ti.task_id, ti.run_id, ti.map_index, str(since)]
    # A clear raises max_tries: to the tries so far plus the task's retries. Both numbers count, not
    # their difference, which stays the same if the DAG file's retries have grown by as much.
    counts = [ti.max_tries or 0, context["task"].retries or 0, *_signs(ti, run)]
    generation = "-".join(map(str, [*counts, _hash(body)]))
    return Owner(f"airflow:{_hash(names)}", generation, since)


def _signs(ti: Any, run: Any) -> list[int]:
    """Return what tells a task from the one that it was before a clear; nothing at first."""
    signs = [getattr(run, "clear_number", None) or 0]
    if tells_of_each_clear():
        return [number for number in signs if number]
    # A clear of a task that Airflow shows as running leaves no other trace than the next try.
    signs.append(ti.try_number)
    return [] if signs == [0, 1] else signs


def tells_of_each_clear() -> bool:
    """Return whether this Airflow counts each clear of a run: those before 3.2 count few."""
    return is_airflow((3, 2))


@dataclass(frozen=True)
class Found:
    """What a task's run finds of its own among the data diffs of an account.

    The one to take over, the ids of those that still run, of this generation and of earlier ones,
    and the ids of the copies that a person made.
    """

    taken: Mapping[str, Any] | None
    running: tuple[int, ...]
    earlier: tuple[int, ...]
    copies: tuple[int, ...]

    def others(self, number: int | None) -> tuple[int, ...]:
        """Return the ids of those of this generation that run beside the given one."""
        return tuple(found for found in self.running if found != number)


def find_own(owner: Owner, diffs: Iterable[Mapping[str, Any]]) -> Found:
    """Find what is a task's among data diffs of an account, the newest of them first."""
    taken: Mapping[str, Any] | None = None
    running, earlier, copies = [], [], []
    for number, is_over, diff in _of_use(diffs):
        match owner.whose(diff):
            case Whose.THIS:
                # What is over may be older than the data; what runs was made for this generation.
                if taken is None and (not is_over or owner.is_from_since(diff)):
                    taken = diff
                if not is_over:
                    running.append(number)
            case Whose.EARLIER if not is_over:
                earlier.append(number)
            case Whose.COPY:
                copies.append(number)
    return Found(taken, tuple(running), tuple(earlier), tuple(copies))


def _of_use(diffs: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, bool, Mapping[str, Any]]]:
    """Return the data diffs that run or are done, each once, with id and whether it is done."""
    # By their ids, because the pages move while new ones are made.
    numbered = {diff["id"]: diff for diff in diffs if isinstance(diff.get("id"), int)}
    for number, diff in numbered.items():
        state = DATA_DIFF.state_of(diff.get("status"))
        if state not in (State.FAILED, State.CANCELLED):
            yield number, state is State.SUCCEEDED, diff


def tags_of(diff: Mapping[str, Any]) -> list[str]:
    """Return the tags of a data diff in lower case, as ours are: a service may change that."""
    tags = diff.get("tags")
    found = tags if isinstance(tags, list) else ()
    return [tag.casefold() for tag in found if isinstance(tag, str)]


def created_at(diff: Mapping[str, Any]) -> datetime | None:
    """Return when a data diff was made, ``None`` where it does not say."""
    return fields.moment(diff.get("created_at"))


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
