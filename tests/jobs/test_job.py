"""The kinds of job, held against the contract that the sandbox serves."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.jobs.job import DATA_DIFF, JOBS, MONITOR_RUN, Job, State
from dev.sandbox import contract


def _words(value: Any) -> list[list[str]]:
    """All lists of words that the contract lets something be one of."""
    if isinstance(value, dict):
        found = [value["enum"]] if isinstance(value.get("enum"), list) else []
        return found + [words for item in value.values() for words in _words(item)]
    return [words for item in value for words in _words(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("job", [DATA_DIFF, MONITOR_RUN], ids=lambda job: job.name)
def test_every_status_of_the_contract_is_known(job: Job) -> None:
    lists = _words(contract.document())
    assert [words for words in lists if set(words) == set(job.states)]


@pytest.mark.parametrize(
    ("name", "ids", "path", "field"),
    [
        ("data_diff", {"datadiff_id": 7}, "/api/v1/datadiffs/7", "status"),
        ("monitor_run", {"monitor_id": 7, "run_id": 8}, "/api/v1/monitors/7/runs/8", "state"),
        ("data_source_test", {"job_id": 7}, "/api/v1/data_sources/test/7", "status"),
        ("ci_run", {"ci_config_id": 7, "pr_num": 8}, "/api/v1/ci/7/runs?pr_num=8", "status"),
    ],
)
def test_where_its_status_is_read(name: str, ids: dict[str, int], path: str, field: str) -> None:
    # A trigger finds its kind by name.
    job = JOBS[name]
    assert job.name == name
    assert job.values({**ids, "more": 5}) == ids
    assert job.read.request(**job.values(ids)).path == path
    assert job.status == field


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *((status, "running") for status in ("waiting", "queued", "processing")),
        ("done", "succeeded"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
    ],
)
def test_what_is_known_of_a_ci_runs_free_text(status: str, state: str) -> None:
    assert JOBS["ci_run"].state_of(status) == state
    # A trigger's event has it as text.
    assert State(state).value == state


@pytest.mark.parametrize("status", [None, 7, ["done"], "DONE", ""])
def test_an_unknown_status_has_no_meaning(status: Any) -> None:
    assert [job.state_of(status) for job in JOBS.values()] == [None] * 4
