from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY as POLICY

if not POLICY:
    pytest.skip("Airflow has retry policies from 3.3 on", allow_module_level=True)

from airflow.sdk import RetryDecision


def test_final_error_fails() -> None:
    decision = POLICY.evaluate(exceptions.DatafoldNotFoundError("x", retry_after=5), 1, 3)
    assert decision == RetryDecision.fail(reason=decision.reason)


def test_waits_just_as_the_service_asks() -> None:
    decision = POLICY.evaluate(exceptions.DatafoldRateLimitError("x", retry_after=3600), 1, 3)
    assert decision == RetryDecision.retry(delay=timedelta(hours=1), reason=decision.reason)
    assert "1:00:00" in decision.reason


def test_waits_no_longer_than_a_day() -> None:
    decision = POLICY.evaluate(exceptions.DatafoldRateLimitError("x", retry_after=1e12), 1, 3)
    assert decision.retry_delay == timedelta(days=1)


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
