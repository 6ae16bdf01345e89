"""The jobs that triggers wait for, and the service that runs them.

It speaks for two services, so that both contenders wait for the same jobs: it shows a job as
Datafold shows a data diff, and as dbt Cloud shows a run.
"""

from __future__ import annotations

import json
import random
import re
import time

JOBS = 1000
SHORTEST, LONGEST = 4.0, 45.0
"""Seconds."""
LONG = 6 * 3600.0

WARM_UP = 1_000_000
"""Id of a job that has ended before anyone looks."""

_SEED = 7
_ID = re.compile(rb"/(?:datadiffs|runs)/(\d+)")


def lengths(jobs: int) -> list[float]:
    """Return how long each job takes, the same in each process: many short ones and few long ones.

    :param jobs: how many.
    :return: seconds by job. Their logarithms are spread evenly.
    """
    dice = random.Random(_SEED)
    return [SHORTEST * (LONGEST / SHORTEST) ** dice.random() for _ in range(jobs)]


class JobService:
    """Shows jobs, each of which begins when somebody looks at it first.

    :param job_lengths: seconds that each job takes; ids count from 1.
    """

    def __init__(self, job_lengths: list[float]) -> None:
        self._lengths = dict(enumerate(job_lengths, start=1)) | {WARM_UP: 0.0}
        self._begun: dict[int, float] = {}
        self._looks = dict.fromkeys(self._lengths, 0)
        self._diff, self._run = _diff(), _run()

    def respond(self, head: bytes) -> bytes:
        """Show a job, or what was counted.

        :param head: the head of a request.
        :return: the content of the response.
        """
        found = _ID.search(head)
        if found is None:
            return json.dumps(self._counts()).encode()
        now, number = time.monotonic(), int(found[1])
        begun = self._begun.setdefault(number, now)
        self._looks[number] += 1
        has_ended = now >= begun + self._lengths[number]
        if b"/datadiffs/" in found[0]:
            shown = self._diff | {"id": number} | ({"status": "done"} if has_ended else {})
        else:
            run = self._run | {"id": number} | ({"status": 10} if has_ended else {})
            shown = {"data": run}
        return json.dumps(shown).encode()

    def _counts(self) -> dict[str, object]:
        jobs = [number for number in self._begun if number != WARM_UP]
        return {
            "looks": [self._looks[number] for number in sorted(jobs)],
            # Processes of one machine share this clock.
            "ends": [self._begun[number] + self._lengths[number] for number in sorted(jobs)],
        }


def _diff() -> dict[str, object]:
    """Return a diff with all fields of the contract."""
    from dev.sandbox.course import Job
    from dev.sandbox.data_diffs import IDENTICAL, DataDiffs

    body = {
        "data_source1_id": 1,
        "data_source2_id": 2,
        "table1": ["DB", "PUBLIC", "ORDERS"],
        "table2": ["DB", "STAGING", "ORDERS"],
        "pk_columns": ["id"],
        "tags": ["airflow:1f2e3d4c5b6a7988:0-abcdef"],
    }
    diffs = DataDiffs()
    shown: dict[str, object] = diffs.peek(diffs.add(body, Job(IDENTICAL))["id"])
    return shown | {"status": "processing"}


def _run() -> dict[str, object]:
    """Return a run of about as many bytes as a diff."""
    ids = ("id", "trigger_id", "account_id", "environment_id", "project_id", "job_definition_id")
    times = ("created_at", "updated_at", "dequeued_at", "started_at", "last_heartbeat_at")
    nothing = (
        *("finished_at", "git_branch", "git_sha", "status_message", "owner_thread_id"),
        *("executed_by_thread_id", "deferring_run_id", "artifact_s3_path", "blocked_by", "job"),
        *("environment", "trigger", "run_steps", "run_retry", "used_repo_cache", "audit"),
        *("is_running", "model_timing_available", "scribe_enabled", "debug_logs", "related"),
    )
    flags = (
        *("artifacts_saved", "has_docs_generated", "has_sources_generated", "notifications_sent"),
        *("in_progress", "is_complete", "is_success", "is_error", "is_cancelled"),
    )
    durations = ("duration", "queued_duration", "run_duration", "duration_humanized")
    return {
        **dict.fromkeys(ids, 70403103916811),
        **dict.fromkeys(times, "2026-11-26 14:26:21.748412+00:00"),
        **dict.fromkeys(nothing),
        **dict.fromkeys(flags, False),
        **dict.fromkeys(durations, "00:00:21"),
        "href": "https://cloud.getdbt.com/deploy/1/projects/2/runs/70403103916811/",
        "status_humanized": "Running",
        "dbt_version": "versionless",
        "status": 3,
    }
