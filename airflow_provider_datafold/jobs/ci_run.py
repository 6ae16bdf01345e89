"""Start a run of Datafold's CI once, even if the response is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import ci, fields
from airflow_provider_datafold.exceptions import (
    DatafoldConflictError,
    DatafoldJobCancelledError,
    DatafoldJobFailedError,
)
from airflow_provider_datafold.jobs.job import MOST_PAGES, PAGE_SIZE, State
from airflow_provider_datafold.jobs.once.start import start_once

if TYPE_CHECKING:
    from airflow_provider_datafold.api.operation import Request
    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.jobs.watch import JobStatus


FACTS = {
    "pr_number": fields.positive_integer,
    "pr_sha": fields.sha,
    "base_sha": fields.sha,
    "pr_branch": fields.name,
    "base_branch": fields.name,
}
"""Checks for the facts about a pull request, by the API's names."""

_SHORTEST_SHA = 7


def upload_request(ids: Mapping[str, int], changes: Any) -> Request:
    """Make the request that uploads the tables of a pull request."""
    return ci.UPLOAD.request(changes, ci_config_id=ids["ci_config_id"], pr_num=ids["pr_number"])


def trigger_once(hook: JobHook, ci_config_id: int, **facts: Any) -> int:
    """Start CI for a pull request."""
    newest = _newest_run(hook, ci_config_id, facts)

    def start() -> int | None:
        return _run_id(hook.trigger_ci(ci_config_id, **facts))

    def find() -> int | None:
        run_id = _newest_run(hook, ci_config_id, facts)
        return run_id if run_id > newest else None

    return start_once(hook, "CI run", start, find)


def upload(hook: JobHook, request: Request, ids: Mapping[str, int]) -> int:
    """Upload the tables of a pull request. Only the last upload counts, so a retry does no harm."""
    answer = hook.send(request)
    run_id = _run_id(answer)
    if run_id is None or answer.get("run_id") is None:
        raise DatafoldConflictError(
            f"Pull request {ids['pr_number']} of CI configuration {ids['ci_config_id']} has no "
            f"active CI run (the response's 'run_id' is null), so Datafold accepted no changes. "
            f"Start a run first, e.g. with DatafoldTriggerCIOperator."
        )
    return run_id


def conclude(hook: JobHook, ids: Mapping[str, Any], reading: JobStatus) -> dict[str, Any]:
    """Let a DAG continue after a CI run, or stop it."""
    name = f"CI run {ids['run_id']} of pull request {ids['pr_num']}"
    if reading.state is State.FAILED:
        # An upload starts none, and its retry finds no active one.
        raise DatafoldJobFailedError(
            f"{name} failed at Datafold. A retry of DatafoldTriggerCIOperator starts a new run."
        )
    if reading.was_cancelled:
        raise DatafoldJobCancelledError(f"{name} was cancelled at Datafold.")
    hook.log.info("%s is %s.", name, reading.status)
    return summary(ids, reading.status)


def summary(ids: Mapping[str, Any], status: str | None) -> dict[str, Any]:
    """Return the part of a CI run that a task returns."""
    return {"ci_config_id": ids["ci_config_id"], "run_id": ids["run_id"], "status": status}


def list_runs(hook: JobHook, ci_config_id: int, **facts: Any) -> Iterator[dict[str, Any]]:
    """List CI runs, a page at a time, up to ten pages.

    They show all facts, by the list's names: a run that shows nothing of one is nobody's.
    """
    # A short sha may find nothing where the service keeps the long one.
    name = "pr_num" if "pr_num" in facts else "pr_sha"
    count, filters = 0, {name: facts[name]}
    for _ in range(MOST_PAGES):
        runs = hook.list_ci_runs(ci_config_id, **filters, limit=PAGE_SIZE, offset=count)
        for run in runs:
            # The service may ignore a filter.
            if isinstance(run, dict) and isinstance(run.get("id"), int) and _shows(run, facts):
                yield run
        # Not a short one: a service may return less than it is asked for.
        if not runs:
            break
        count += len(runs)


def _shows(run: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    return all(_agree(name, str(fact), str(run.get(name))) for name, fact in facts.items())


def _agree(name: str, fact: str, shown: str) -> bool:
    if name.endswith("_branch"):
        return _branch(fact) == _branch(shown)
    if not name.endswith("_sha"):
        return fact == shown
    # A short sha stands for the long one.
    length = min(len(fact), len(shown))
    return length >= _SHORTEST_SHA and fact[:length].lower() == shown[:length].lower()


def _branch(written: str) -> str:
    """Return a branch's short name: CI services and git write the same branch in several ways."""
    return written.removeprefix("refs/heads/").removeprefix("refs/remotes/").removeprefix("origin/")


def _newest_run(hook: JobHook, ci_config_id: int, facts: Mapping[str, Any]) -> int:
    """Return the id of the newest run for these facts, 0 if there is none."""
    shown = {"pr_num" if name == "pr_number" else name: fact for name, fact in facts.items()}
    runs = list_runs(hook, ci_config_id, **shown)
    # The contract does not say whether the first or the last run in the list is the newest.
    return max((run["id"] for run in runs), default=0)


def _run_id(answer: Mapping[str, Any]) -> int | None:
    """Return a run's id, for which the contract has two names."""
    found = (answer.get(name) for name in ("ci_run_id", "run_id"))
    return next((run_id for run_id in found if isinstance(run_id, int)), None)
