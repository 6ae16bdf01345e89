from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY as POLICY

try:
    from airflow.sdk import RetryDecision
except ImportError:
    pytest.skip("Airflow has retry policies from 3.3 on", allow_module_level=True)

from airflow.providers.standard.operators.empty import EmptyOperator

BUSY = exceptions.DatafoldRateLimitError("x", retry_after=3600)


def context(**task: Any) -> Any:
    """What Airflow passes to a policy, as far as the policy uses it."""
    return {"task": EmptyOperator(task_id="t", **task)}


def evaluate(error: Exception, try_number: int = 1, **task: Any) -> RetryDecision:
    return POLICY.evaluate(error, try_number, 9, context(**task))


def test_waits_just_as_the_service_asks() -> None:
    for decision in (POLICY.evaluate(BUSY, 1, 3), evaluate(BUSY, retry_delay=timedelta(hours=0.9))):
        assert decision == RetryDecision.retry(delay=timedelta(hours=1), reason=decision.reason)
        assert "1:00:00" in decision.reason


@pytest.mark.parametrize("hours", [1, 7])
def test_a_task_that_waits_as_long_anyway_does_as_it_is_set(hours: int) -> None:
    assert evaluate(BUSY, retry_delay=timedelta(hours=hours)) == RetryDecision.default()


@pytest.mark.parametrize(
    ("try_number", "task", "is_own"),
    [
        (1, {"retry_exponential_backoff": 2}, False),
        (2, {"retry_exponential_backoff": 2}, True),
        (2, {"retry_exponential_backoff": True}, True),
        (2, {"retry_exponential_backoff": 0}, False),
        (9, {}, False),
        (9, {"retry_exponential_backoff": 2, "max_retry_delay": timedelta(hours=0.8)}, False),
        (9, {"retry_exponential_backoff": 2, "max_retry_delay": timedelta(hours=2)}, True),
        (10_000, {"retry_exponential_backoff": 2}, True),
        (10_000, {"retry_exponential_backoff": 1e300}, True),
        (9, {"retry_exponential_backoff": 0.5}, False),
    ],
)
def test_backoff_of_the_task_counts(try_number: int, task: Any, is_own: bool) -> None:
    decision = evaluate(BUSY, try_number, retry_delay=timedelta(hours=0.5), **task)
    assert (decision == RetryDecision.default()) is is_own


@pytest.mark.parametrize(
    ("hours", "try_number", "backoff"),
    [
        (0.4, 2, True),  # twice the delay, not three times
        (2, 9, 0.5),  # ever shorter
    ],
)
def test_backoff_of_the_task_is_no_longer_than_airflows(
    hours: float, try_number: int, backoff: Any
) -> None:
    task = {"retry_delay": timedelta(hours=hours), "retry_exponential_backoff": backoff}
    assert evaluate(BUSY, try_number, **task).retry_delay == timedelta(hours=1)


def test_waits_no_longer_than_a_day() -> None:
    decision = POLICY.evaluate(exceptions.DatafoldRateLimitError("x", retry_after=1e12), 1, 3)
    assert decision.retry_delay == timedelta(days=1)


def test_longest_delay_does_not_count_without_backoff() -> None:
    task = {"retry_delay": timedelta(hours=2), "max_retry_delay": timedelta(minutes=5)}
    assert evaluate(BUSY, **task) == RetryDecision.default()


@pytest.mark.parametrize("error", [exceptions.DatafoldServerError("x"), ValueError("x")])
def test_all_else_is_as_the_user_set_it(error: Exception) -> None:
    assert POLICY.evaluate(error, 1, 3) == RetryDecision.default()


def test_older_airflow_has_none() -> None:
    program = """
import sys
from types import ModuleType
import airflow_provider_datafold.exceptions
sys.modules["airflow.sdk"] = ModuleType("airflow.sdk")
from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY
print("found:", DEFAULT_RETRY_POLICY)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert "found: None" in done.stdout.splitlines()
