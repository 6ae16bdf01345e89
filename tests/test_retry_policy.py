from __future__ import annotations

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


@pytest.mark.parametrize(
    ("hours", "try_number", "task", "is_own"),
    [
        (1, 1, {}, True),
        (7, 1, {}, True),
        (0.5, 9, {}, False),
        (0.5, 1, {"retry_exponential_backoff": 2}, False),
        (0.5, 2, {"retry_exponential_backoff": 2}, True),
        (0.5, 2, {"retry_exponential_backoff": True}, True),
        (0.5, 2, {"retry_exponential_backoff": 0}, False),
        (0.5, 10_000, {"retry_exponential_backoff": 2}, True),
        (0.5, 10_000, {"retry_exponential_backoff": 1e300}, True),
        # Twice the delay, not three times; and ever shorter.
        (0.4, 2, {"retry_exponential_backoff": True}, False),
        (0.5, 9, {"retry_exponential_backoff": 0.5}, False),
        (2, 9, {"retry_exponential_backoff": 0.5}, False),
        # The longest delay counts with backoff only.
        (0.5, 9, {"retry_exponential_backoff": 2, "max_retry_delay": timedelta(hours=0.8)}, False),
        (0.5, 9, {"retry_exponential_backoff": 2, "max_retry_delay": timedelta(hours=2)}, True),
        (2, 1, {"max_retry_delay": timedelta(minutes=5)}, True),
    ],
)
def test_a_task_that_waits_as_long_anyway_does_as_it_is_set(
    hours: float, try_number: int, task: Any, is_own: bool
) -> None:
    decision = evaluate(BUSY, try_number, retry_delay=timedelta(hours=hours), **task)
    assert (decision == RetryDecision.default()) is is_own
    assert is_own or decision.retry_delay == timedelta(hours=1)


def test_waits_no_longer_than_a_day() -> None:
    decision = POLICY.evaluate(exceptions.DatafoldRateLimitError("x", retry_after=1e12), 1, 3)
    assert decision.retry_delay == timedelta(days=1)


@pytest.mark.parametrize("error", [exceptions.DatafoldServerError("x"), ValueError("x")])
def test_all_else_is_as_the_user_set_it(error: Exception) -> None:
    assert POLICY.evaluate(error, 1, 3) == RetryDecision.default()
