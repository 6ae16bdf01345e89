"""Upload what dbt wrote once, and find the CI run that Datafold starts for it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_datafold.api.dbt import FACTS as FACTS
from airflow_provider_datafold.exceptions import DatafoldNotFoundError, DatafoldRejectedError
from airflow_provider_datafold.jobs.ci_run import list_runs
from airflow_provider_datafold.jobs.job import CI_RUN
from airflow_provider_datafold.jobs.once.start import start_once

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook

PULL_REQUEST = "pull_request"

_TOO_LARGE = 413
_LESS = (
    "The archive is too large for the service or a proxy: upload fewer files, with the argument "
    "'include' of DatafoldUploadDbtArtifactsOperator, e.g. ['manifest.json', 'run_results.json']."
)

_BRANCH = "HEAD"
"""Git's name for a commit whose branch nobody knows."""

_PAUSES = (2.0, 3.0, *(5.0,) * 11)
"""Seconds between two looks for the run: a minute in all, as long as Datafold's SDK looks."""


def upload_once(
    hook: JobHook, ci_config_id: int, archive: IO[bytes], facts: Mapping[str, Any]
) -> None:
    """Upload an archive, or find out that it was stored if the response is lost."""

    def submit() -> bool:
        try:
            hook.submit_dbt_artifacts(ci_config_id, archive, **facts)
        except DatafoldRejectedError as error:
            if error.status_code != _TOO_LARGE:
                raise
            failure = DatafoldRejectedError(
                f"{error} {_LESS}", status_code=_TOO_LARGE, method=error.method, path=error.path
            )
        else:
            return True
        raise failure

    def is_stored() -> bool:
        known = {name: facts[name] for name in ("commit_sha", "run_type")}
        answer = hook.check_dbt_artifacts(ci_config_id, **known, branch=_BRANCH)
        return answer.get("status") == "ok"

    # A commit that runs each night has artifacts already. Then nothing tells that these have come.
    was_stored = is_stored()
    start_once(
        hook,
        "upload of dbt's artifacts",
        submit,
        lambda: (not was_stored and is_stored()) or None,
    )


def ended_runs(hook: JobHook, ci_config_id: int, commit_sha: str) -> frozenset[int]:
    """Return the ids of a commit's CI runs that have ended."""
    return frozenset(
        run["id"]
        for run in list_runs(hook, ci_config_id, pr_sha=commit_sha)
        if CI_RUN.is_end(run.get(CI_RUN.status))
    )


def wait_for_run(
    hook: JobHook, ci_config_id: int, commit_sha: str, ended: Container[int]
) -> dict[str, Any]:
    """Wait until Datafold has a CI run for an upload.

    The pull request may have had one that waited for the artifacts, or they start one.
    """
    for pause in (0.0, *_PAUSES):
        hook.pause(pause)
        runs = list_runs(hook, ci_config_id, pr_sha=commit_sha)
        found = [run for run in runs if run["id"] not in ended]
        if found:
            return max(found, key=lambda run: int(run["id"]))
    raise DatafoldNotFoundError(
        f"Datafold stored dbt's artifacts, but CI configuration {ci_config_id} has no new CI run "
        f"of commit {commit_sha} a minute later. Check that commit_sha is the full sha of the "
        f"newest commit of an open pull request, that ci_config_id is the CI configuration of its "
        f"repository, and that CI is not paused there; then clear the task, which uploads them "
        f"again."
    )
