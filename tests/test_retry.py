from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from airflow_provider_datafold import exceptions, retry

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("error", "idempotent", "not_idempotent"),
    [
        (exceptions.DatafoldUnreachableError("x"), True, True),
        (exceptions.DatafoldConnectionError("x"), True, False),
        (exceptions.DatafoldTimeoutError("x"), True, False),
        (exceptions.DatafoldRateLimitError("x", status_code=429), True, True),
        (exceptions.DatafoldServerError("x", status_code=503), True, True),
        (exceptions.DatafoldServerError("x", status_code=500), True, False),
        (exceptions.DatafoldServerError("x", status_code=503, retry_after=30), True, True),
        (exceptions.DatafoldServerError("x", status_code=503, retry_after=30.1), False, False),
        (exceptions.DatafoldNotFoundError("x", status_code=404), False, False),
        (exceptions.DatafoldError("x"), False, False),
        (ValueError("x"), False, False),
    ],
)
def test_is_retryable(error: Exception, idempotent: bool, not_idempotent: bool) -> None:
    assert retry.is_retryable(error, is_idempotent=True) is idempotent
    assert retry.is_retryable(error, is_idempotent=False) is not_idempotent


@pytest.mark.parametrize(
    ("attempt", "jitter", "seconds"),
    [(1, 0.5, 0.5), (1, 0, 0.375), (1, 1, 0.625), (2, 0.5, 1), (3, 0.5, 2), (3, 1, 2.5)]
    + [(6, 0.5, 16), (7, 0.5, 30), (100, 0, 30), (10**6, 1, 30)],
)
def test_backoff(attempt: int, jitter: float, seconds: float) -> None:
    assert retry.wait(attempt, None, jitter) == seconds


def test_wait_as_asked() -> None:
    assert retry.wait(1, 7, 0) == 7
    assert retry.wait(5, 7, 1) == 7.5
    assert retry.wait(5, 0.25, 0) == 0.25


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("1", 1),
        ("0.5", 0.5),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("3600", 3600),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10),
        ("Fri, 02 Jan 2026 03:04:15 -0000", 10),
        ("Fri, 02 Jan 2026 04:04:15 +0100", 10),
        (format_datetime(NOW + timedelta(hours=1), usegmt=True), 3600),
        ("Fri, 02 Jan 2026 03:04:05 GMT", None),
        ("Thu, 01 Jan 2026 03:04:15 GMT", None),
        ("0", None),
        ("-5", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٧", None),
        ("9" * 5000, None),
        ("99999999999", 99999999999),
        ("Fri, 99 Jan 2026 03:04:15 GMT", None),
        ("Fri, 02 Jan 99999999999 03:04:15 GMT", None),
    ],
)
def test_parse_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry.parse_retry_after(value, NOW) == seconds
