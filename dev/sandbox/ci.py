"""The section CI: runs for pull requests."""

from __future__ import annotations

from typing import Any

from dev.sandbox.course import Course, Courses, Job, Step
from dev.sandbox.register import Register
from dev.sandbox.router import Router

Run = dict[str, Any]

router = Router()


class CI:
    def __init__(self) -> None:
        self.courses = Courses(Course((Step("processing", reads=2),), "done"))
        """The courses of the next runs."""
        names = {1: "dbt Cloud", 2: "GitHub", 3: "GitLab", 4: "dbt Core"}
        self.configs: Register[str] = Register("CI config", names)
        self.runs: dict[int, Register[Run]] = {number: Register("CI run") for number in names}
        self.jobs: dict[int, Job] = {}
        self.changes: dict[int, list[dict[str, Any]]] = {}
        """The last uploaded changes, by run."""
        self.starts_for_artifacts = True
        """Whether a pull request's artifacts start a run, unless it has one that waits for them."""
        self._last = 0

    def add(self, ci_config_id: int, details: dict[str, Any]) -> int:
        self.configs.require(ci_config_id)
        self._last += 1
        self.jobs[self._last] = self.courses.start()
        self.runs[ci_config_id][self._last] = {
            **{name: value for name, value in details.items() if name != "pr_number"},
            "id": self._last,
            "pr_num": str(details["pr_number"]),
            "source": "api",
        }
        return self._last

    def take_artifacts(self, ci_config_id: int, commit_sha: str) -> None:
        """Go on with a commit's run, or start one."""
        runs = self.runs[ci_config_id].items()
        waiting = [
            number
            for number, run in runs
            if run["pr_sha"] == commit_sha and not self.jobs[number].ended
        ]
        if self.starts_for_artifacts and not waiting:
            facts = dict.fromkeys(("pr_branch", "base_sha", "base_branch"), "unknown")
            self.add(ci_config_id, {"pr_number": 1, "pr_sha": commit_sha, **facts})

    def active(self, ci_config_id: int, pr_num: int) -> int | None:
        """Return the newest run for a pull request that has not ended."""
        self.configs.require(ci_config_id)
        return max(
            (
                number
                for number, run in self.runs[ci_config_id].items()
                if run["pr_num"] == str(pr_num) and not self.jobs[number].ended
            ),
            default=None,
        )


@router.handles("POST", "/api/v1/ci/{ci_config_id}/trigger")
def trigger(ci: CI, ci_config_id: int, body: dict[str, Any]) -> Any:
    return {"ci_run_id": ci.add(ci_config_id, body)}


@router.handles("POST", "/api/v1/ci/{ci_config_id}/{pr_num}")
def upload(ci: CI, ci_config_id: int, pr_num: int, body: list[dict[str, Any]]) -> Any:
    """Accept the changes of a pull request, for the run that waits for them."""
    run = ci.active(ci_config_id, pr_num)
    if run is not None:
        ci.changes[run] = body
    return {"run_id": run}


@router.handles("GET", "/api/v1/ci/{ci_config_id}/runs")
def list_runs(
    ci: CI,
    ci_config_id: int,
    pr_sha: str | None,
    pr_num: str | None,
    limit: int,
    offset: int,
) -> Any:
    """List runs, newest first. Listing a run moves it on by a step."""
    ci.configs.require(ci_config_id)
    found = [
        run
        for run in reversed(ci.runs[ci_config_id].values())
        if pr_sha in {None, run["pr_sha"]} and pr_num in {None, run["pr_num"]}
    ]
    # No operation shows a single run, so a caller that waits for one reads the list.
    return [{**run, "status": ci.jobs[run["id"]].read()} for run in found[offset : offset + limit]]
