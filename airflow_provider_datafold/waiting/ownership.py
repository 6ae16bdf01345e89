"""Which data diff belongs to which run of a task, told by a tag. Nothing here does I/O.

Datafold knows no idempotency key, so a gate tags its data diff ``airflow:<task>:<generation>``.
The task is a hash of what names a task's run, in any Airflow that uses the account. The generation
stays the same over retries, lost workers and deferrals, and is another one when a task that had
ended or was deferred is cleared, and when it asks for something else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.waiting.job import DATA_DIFF, State

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True)
class Owner:
    """The run of a task that a data diff is made for.

    :param task: the task's part of the tag.
    :param generation: the generation's part.
    :param since: no data diff of this run was made before; ``None`` if nobody knows.
    """

    task: str
    generation: str
    since: datetime | None = None

    @property
    def tag(self) -> str:
        """The tag that the data diff gets."""
        return f"{self.task}:{self.generation}"

    def owns(self, diff: Mapping[str, Any]) -> bool:
        """Say whether a data diff was made for this generation of the task's run."""
        return self.tag in _tags(diff)

    def owned_before(self, diff: Mapping[str, Any]) -> bool:
        """Say whether a data diff was made for another generation of the task's run."""
        return not self.owns(diff) and any(tag.startswith(f"{self.task}:") for tag in _tags(diff))

    def precedes(self, diff: Mapping[str, Any]) -> bool:
        """Say whether a data diff is older than anything of this run could be."""
        made = created_at(diff)
        return made is not None and self.since is not None and made < self.since - _CLOCKS_DIFFER


def owner_of(context: Context, body: Mapping[str, Any]) -> Owner:
    """Find out whose data diff it is.

    :param context: Airflow's task context.
    :param body: what is asked for, without the tag.
    :return: the owner.
    """
    ti, run = context["ti"], context["dag_run"]
    since = getattr(run, "start_date", None)
    names = [ti.dag_id, ti.task_id, ti.run_id, ti.map_index, str(since)]
    # A clear sets max_tries to the tries so far and the task's retries. By an older DAG file than
    # the worker's it may add as much as the file's retries have grown, so their difference alone
    # may be what it was.
    generation = f"{ti.max_tries or 0}-{context['task'].retries or 0}-{_hash(body)}"
    return Owner(f"airflow:{_hash(names)}", generation, since)


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
    # By their ids, because the pages move while new ones are made.
    for number, diff in {diff.get("id"): diff for diff in diffs}.items():
        state = DATA_DIFF.state_of(diff.get("status")) or State.RUNNING
        if not isinstance(number, int) or state in (State.FAILED, State.CANCELLED):
            continue
        if owner.owns(diff) and taken is None:
            taken = diff
        elif state is not State.SUCCEEDED and (owner.owns(diff) or owner.owned_before(diff)):
            left.append(number)
    return Choice(taken, tuple(left))


def created_at(diff: Mapping[str, Any]) -> datetime | None:
    """Return when a data diff was made, ``None`` where it does not say.

    :param diff: the data diff as the API shows it.
    """
    text = diff.get("created_at")
    try:
        made = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return made if made.tzinfo is not None else None


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _tags(diff: Mapping[str, Any]) -> list[str]:
    tags = diff.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
