"""Which data diff belongs to which run of a task, told by a tag. Nothing here does I/O.

Datafold knows no idempotency key, so a gate tags its data diff ``airflow:<task>:<generation>``.
The task is a hash of what names a task's run, in any Airflow that uses the account. The generation
stays the same over lost workers and deferrals, and is another one when the run is cleared, and when
the task asks for something else. Where Airflow does not tell a retry from a clear, a retry is
another generation, too: a second data diff is better than a verdict about the data of before.

A tag can be copied. So what carries it must also have been made through the API, and ask for what
the task asks for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import airflow

from airflow_provider_datafold.jobs.job import DATA_DIFF, State
from airflow_provider_datafold.redaction.secret import MASK, Secret

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_CLOCKS_DIFFER = timedelta(hours=1)

_BY_THE_API = "api"
"""Of the sources of a data diff, ours. A copy that a person makes has another one."""

_SOURCES = ("data_source1_id", "data_source2_id")
_TABLES = ("table1", "table2")
_SIDES = (*_SOURCES, *_TABLES, "query1", "query2", "file1", "file2")
_LENIENT = frozenset(
    {
        "filter1",
        "filter2",
        "include_columns",
        "exclude_columns",
        "columns_to_compare",
        "column_rules",
        "diff_tolerance",
        "diff_tolerances_per_column",
        "datetime_tolerance",
        "sort_array_columns",
        "table_modifiers",
        "time_travel_point1",
        "time_travel_point2",
        "time_interval_start",
        "time_interval_end",
    }
)
"""Fields with which less is compared, or more counts as equal: null is an answer, too."""

_SAMPLING = frozenset(
    {
        "sampling_confidence",
        "sampling_max_rows",
        "sampling_ratio",
        "sampling_threshold",
        "sampling_tolerance",
    }
)
"""The same, but null says nothing: the figures say whether it was a sample."""

_WITH_A_ZERO = frozenset({"datetime_tolerance", "time_travel_point1", "time_travel_point2"})
"""Fields in which 0 is not the same as nothing: it is a precision of seconds, or a moment."""

_DEFAULTS = {"compare_duplicates": True}
"""What the contract names for a field that is left out, if another value compares less."""

_TIMES = frozenset(
    {"time_travel_point1", "time_travel_point2", "time_interval_start", "time_interval_end"}
)
_NOT_COMPARED = frozenset({"tags", "archived", "purged"})
"""Fields that a person changes later, and that change nothing of the question."""


@dataclass(frozen=True)
class Owner:
    """The run of a task that a data diff is made for.

    :param task: the task's part of the tag.
    :param generation: the generation's part.
    :param since: no data diff of this run was made before; ``None`` if nobody knows.
    :param asked: what the task asks for, without the tag.
    """

    task: str
    generation: str
    since: datetime | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The tag that the data diff gets."""
        return f"{self.task}:{self.generation}"

    def tagged(self, tag: str) -> Owner:
        """Return the owner of what has another tag and asks for the same.

        :param tag: the tag.
        """
        task, _, generation = tag.rpartition(":")
        return replace(self, task=task, generation=generation)

    def owns(self, diff: Mapping[str, Any]) -> bool:
        """Say whether a data diff was made for this generation of the task's run."""
        return self.tag in _tags(diff) and _is_by_the_api(diff) and asks_for(self.asked, diff)

    def owned_before(self, diff: Mapping[str, Any]) -> bool:
        """Say whether a data diff was made for another generation of the task's run."""
        tags = [tag for tag in _tags(diff) if tag.startswith(f"{self.task}:")]
        if not tags or self.tag in tags or not _is_by_the_api(diff):
            return False
        # What a generation with another body asked for, nobody knows any more.
        is_known = any(_body_of(tag) == _body_of(self.tag) for tag in tags)
        return not is_known or asks_for(self.asked, diff)

    def may_have_made(self, diff: Mapping[str, Any]) -> bool:
        """Say whether a data diff may be what this generation has just asked for.

        The tag is proof: in a response to the creation, nobody can have copied it yet. What shows
        no tags must compare the same sides; the other fields may be filled in later.

        :param diff: the response to the creation.
        """
        if tags := _tags(diff):
            return self.tag in tags
        return asks_for(self.asked, {name: diff[name] for name in _SIDES if name in diff})

    def may_be_tagged_as(self, diff: Mapping[str, Any]) -> bool:
        """Say whether the tags of a data diff allow it to be this task's; a person may add some.

        :param diff: the data diff that the task waited for.
        """
        tags = _tags(diff)
        return not tags or any(tag.startswith(f"{self.task}:") for tag in tags)

    def precedes(self, diff: Mapping[str, Any]) -> bool:
        """Say whether a data diff is older than anything of this run could be."""
        made = created_at(diff)
        return made is not None and self.since is not None and made < self.since - _CLOCKS_DIFFER

    def follows(self, diff: Mapping[str, Any]) -> bool:
        """Say whether a data diff is known to be no older than this run."""
        is_known = created_at(diff) is not None and self.since is not None
        return is_known and not self.precedes(diff)


def owner_of(context: Context, body: Mapping[str, Any]) -> Owner:
    """Find out whose data diff it is.

    :param context: Airflow's task context.
    :param body: what is asked for, without the tag.
    :return: the owner.
    """
    ti, run = context["ti"], context["dag_run"]
    since = getattr(run, "start_date", None)
    names = [ti.dag_id, ti.task_id, ti.run_id, ti.map_index, str(since)]
    # A clear raises max_tries: to the tries so far plus the task's retries. Both numbers count, not
    # their difference, which stays the same if the DAG file's retries have grown by as much.
    counts = [ti.max_tries or 0, context["task"].retries or 0, *_signs(ti, run)]
    generation = "-".join(map(str, [*counts, _hash(body)]))
    return Owner(f"airflow:{_hash(names)}", generation, since, body)


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
    major, minor = airflow.__version__.split(".")[:2]
    return (int(major), int(minor)) >= (3, 2)


def asks_for(asked: Mapping[str, Any], diff: Mapping[str, Any]) -> bool:
    """Say whether a data diff compares what was asked for, as far as it says so.

    A service may write names, spaces, numbers and times in another way than they were sent, and
    fill in defaults.

    :param asked: the body of the creation.
    :param diff: the data diff as the API shows it.
    """
    return all(
        _agree(name, asked.get(name, _DEFAULTS.get(name)), found)
        for name, found in diff.items()
        if _is_compared(name, asked, found)
    )


def _is_compared(name: str, asked: Mapping[str, Any], found: Any) -> bool:
    if name in _LENIENT:
        return True
    if name in _SIDES:
        return bool(found)
    if name in _SAMPLING or name in _DEFAULTS:
        return found is not None
    # Datafold fills in the keys that it infers.
    is_shown = bool(found) if name == "pk_columns" else found is not None
    return is_shown and asked.get(name) not in (None, []) and name not in _NOT_COMPARED


def _agree(name: str, asked: Any, found: Any) -> bool:
    if name in _LENIENT and (_is_nothing(name, asked) or _is_nothing(name, found)):
        return _is_nothing(name, asked) and _is_nothing(name, found)
    if name in _TIMES and (moment := _moment(asked)) is not None:
        return moment == _moment(found)
    return _same(asked, found, is_ordered=name in _TABLES)


def _is_nothing(name: str, value: Any) -> bool:
    return value is None or (not value and name not in _WITH_A_ZERO)


def _same(asked: Any, found: Any, *, is_ordered: bool = True, is_name: bool = False) -> bool:
    """Compare a field of the body with what is shown of it; what is within a list is a name."""
    if isinstance(asked, Secret) or (isinstance(found, str) and MASK in found):
        return True
    if isinstance(asked, Mapping) and isinstance(found, Mapping):
        # A service fills in the defaults of what is left out.
        shown = {name: found[name] for name in asked if found.get(name) is not None}
        return all(_same(asked[name], part, is_name=True) for name, part in shown.items())
    if isinstance(asked, (list, tuple)) and isinstance(found, (list, tuple)):
        return _same_parts(asked, found, is_ordered=is_ordered)
    if isinstance(asked, str) and isinstance(found, str):
        return _plain(asked, is_name=is_name) == _plain(found, is_name=is_name)
    # Not the type: -130 is a number or a string where the contract allows both.
    return bool(asked == found or str(asked) == str(found))


def _same_parts(asked: Sequence[Any], found: Sequence[Any], *, is_ordered: bool) -> bool:
    if len(asked) != len(found):
        return False
    if is_ordered:
        return all(_same(one, other, is_name=True) for one, other in zip(asked, found, strict=True))
    left = list(found)
    for part in asked:
        match = next((other for other in left if _same(part, other, is_name=True)), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _plain(text: str, *, is_name: bool) -> str:
    return text.casefold() if is_name else " ".join(text.split())


def _is_by_the_api(diff: Mapping[str, Any]) -> bool:
    return diff.get("source") in (None, _BY_THE_API)


@dataclass(frozen=True)
class Choice:
    """What a task's run finds of its own among the data diffs of an account.

    :param taken: the one to take over, ``None`` if there is none that runs or is done.
    :param left: the ids of those that still run and that nobody waits for.
    """

    taken: Mapping[str, Any] | None
    left: tuple[int, ...]


def choose(owner: Owner, diffs: Iterable[Mapping[str, Any]]) -> Choice:
    """Choose among the data diffs of an account.

    :param owner: who asks.
    :param diffs: data diffs, the newest first.
    :return: what is the owner's.
    """
    taken: Mapping[str, Any] | None = None
    left = []
    for number, state, diff in _of_use(diffs):
        is_over = state is State.SUCCEEDED
        # What is over may be older than the data; what runs was made for this generation.
        if taken is None and owner.owns(diff) and (not is_over or owner.follows(diff)):
            taken = diff
        elif not is_over and (owner.owns(diff) or owner.owned_before(diff)):
            left.append(number)
    return Choice(taken, tuple(left))


def running(owner: Owner, diffs: Iterable[Mapping[str, Any]]) -> tuple[int, ...]:
    """Find what still runs of a generation.

    :param owner: the generation.
    :param diffs: data diffs of an account.
    :return: their ids.
    """
    return tuple(
        number
        for number, state, diff in _of_use(diffs)
        if state is not State.SUCCEEDED and owner.owns(diff)
    )


def _of_use(diffs: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, State, Mapping[str, Any]]]:
    """Return id and state of the data diffs that run or are done, each once."""
    # By their ids, because the pages move while new ones are made.
    numbered = {diff["id"]: diff for diff in diffs if isinstance(diff.get("id"), int)}
    for number, diff in numbered.items():
        state = DATA_DIFF.state_of(diff.get("status")) or State.RUNNING
        if state not in (State.FAILED, State.CANCELLED):
            yield number, state, diff


def created_at(diff: Mapping[str, Any]) -> datetime | None:
    """Return when a data diff was made, ``None`` where it does not say.

    :param diff: the data diff as the API shows it.
    """
    return _moment(diff.get("created_at"))


def _moment(text: Any) -> datetime | None:
    """Read a time. The API's are UTC, whether they say so or not."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _body_of(tag: str) -> str:
    """Return the part of a tag that stands for the body."""
    return tag.rpartition("-")[2]


def _tags(diff: Mapping[str, Any]) -> list[str]:
    tags = diff.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
