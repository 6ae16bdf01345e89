from __future__ import annotations

import importlib
import sys
from datetime import timedelta
from types import ModuleType

import pytest

import airflow_provider_datafold
from airflow_provider_datafold import exceptions, retry_policy

if not retry_policy.DEFAULT_RETRY_POLICY:
    pytest.skip("Airflow has retry policies from 3.3 on", allow_module_level=True)

from airflow.sdk import RetryDecision

POLICY = retry_policy.DEFAULT_RETRY_POLICY


def test_final_error_fails() -> None:
    decision = POLICY.evaluate(exceptions.DatafoldNotFoundError("x", retry_after=5), 1, 3)
    assert decision == RetryDecision.fail(reason="Another try can't mend this.")


def test_waits_just_as_the_service_asks() -> None:
    decision = POLICY.evaluate(exceptions.DatafoldRateLimitError("x", retry_after=3600), 1, 3)
    assert decision == RetryDecision.retry(
        delay=timedelta(hours=1), reason="Datafold asks to wait 1:00:00."
    )


def test_waits_no_longer_than_a_day() -> None:
    decision = POLICY.evaluate(exceptions.DatafoldRateLimitError("x", retry_after=1e12), 1, 3)
    assert decision.retry_delay == timedelta(days=1)


@pytest.mark.parametrize("error", [exceptions.DatafoldServerError("x"), ValueError("x")])
def test_all_else_is_as_the_user_set_it(error: Exception) -> None:
    assert POLICY.evaluate(error, 1, 3) == RetryDecision.default()


def test_older_airflow_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.sdk", ModuleType("airflow.sdk"))
    monkeypatch.delitem(sys.modules, retry_policy.__name__)
    monkeypatch.setattr(airflow_provider_datafold, "retry_policy", retry_policy)
    older = importlib.import_module(retry_policy.__name__)
    assert older is not retry_policy
    assert older.DEFAULT_RETRY_POLICY is None
