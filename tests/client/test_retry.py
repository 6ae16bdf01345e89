"""Whether a request is sent again, and after how long."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from airflow_provider_datafold.api import bi, monitors
from airflow_provider_datafold.api.operation import Effect, Operation
from airflow_provider_datafold.client.failure import Failure
from airflow_provider_datafold.client.retry import is_retryable, parse_retry_after, wait
from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldAuthenticationError,
    DatafoldCertificateError,
    DatafoldConnectionError,
    DatafoldError,
    DatafoldRateLimitError,
    DatafoldServerError,
    DatafoldTimeoutError,
)

READS = Operation("GET", "/x", Effect.READS, "thing", dict)
SETS = Operation("PUT", "/x", Effect.SETS, "thing", dict)
STARTS = Operation("POST", "/x", Effect.STARTS, "thing", dict)
# What it started can be found.
FINDABLE = Operation("POST", "/x", Effect.STARTS, "thing", dict, is_findable=True)


def answered(status: int, retry_after: float | None = None) -> DatafoldError:
    kind = DatafoldRateLimitError if status == 429 else DatafoldServerError
    return kind("x", status_code=status, retry_after=retry_after)


PERMANENT = [
    *(DatafoldAnswerError("x"), DatafoldAuthenticationError("x"), DatafoldCertificateError("x")),
    Failure.STOPPED.error(),
]
MAY_HAVE_BEEN_TAKEN = [
    *(answered(500), answered(408), DatafoldConnectionError("x"), DatafoldTimeoutError("x")),
]
WAS_NOT_TAKEN = [answered(429), Failure.UNREACHABLE.error(reason="refused"), answered(429, 30.0)]
TOO_LONG = [answered(429, 30.1), answered(500, 3600.0), answered(503, 3600.0)]


@pytest.mark.parametrize(
    ("operation", "errors", "is_again"),
    [
        *((each, PERMANENT, False) for each in (READS, SETS, STARTS, FINDABLE)),
        *((each, TOO_LONG, False) for each in (READS, SETS, STARTS, FINDABLE)),
        *((each, WAS_NOT_TAKEN, True) for each in (READS, SETS, STARTS, FINDABLE)),
        *((each, MAY_HAVE_BEEN_TAKEN, True) for each in (READS, SETS)),
        *((each, MAY_HAVE_BEEN_TAKEN, False) for each in (STARTS, FINDABLE)),
        *((each, [answered(503), answered(503, 30.0)], True) for each in (READS, SETS, STARTS)),
        (FINDABLE, [answered(503)], False),
    ],
)
def test_only_what_does_no_harm_is_sent_again(
    operation: Operation[object], errors: list[DatafoldError], is_again: bool
) -> None:
    assert [is_retryable(error, operation) for error in errors] == [is_again] * len(errors)


@pytest.mark.parametrize(
    ("operation", "after_500", "after_503"),
    # The second is a GET that starts something.
    [(bi.UPDATE["dbt"], True, True), (bi.SYNC, False, True), (monitors.RUN, False, False)],
)
def test_what_is_declared_of_each(
    operation: Operation[object], after_500: bool, after_503: bool
) -> None:
    assert is_retryable(answered(500), operation) is after_500
    assert is_retryable(answered(503), operation) is after_503


@pytest.mark.parametrize(
    ("attempt", "asked", "jitter", "seconds"),
    [
        *((1, None, 0.0, 0.375), (1, None, 0.5, 0.5), (1, None, 1.0, 0.625), (2, None, 0.0, 0.75)),
        *((3, None, 1.0, 2.5), (6, None, 0.5, 16.0), (7, None, 0.5, 30.0), (999, None, 0.0, 30.0)),
        *((1, 7.0, 0.0, 7.0), (9, 7.0, 1.0, 7.5)),
    ],
)
def test_wait(attempt: int, asked: float | None, jitter: float, seconds: float) -> None:
    assert wait(attempt, asked, jitter) == seconds


NOW = datetime(2024, 1, 31, 6, 0, 0, tzinfo=timezone.utc)
EAST = timezone(timedelta(hours=5))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("7", 7.0), (" 7 ", 7.0), ("0.25", 0.25), ("99999999999", 99999999999.0)),
        ("9" * 5000, 1e12),
        *((text, None) for text in (None, "", "0", "-5", "1e3", "soon", "٧")),
        ("Wed, 31 Jan 2024 06:00:01 GMT", 1.0),
        ("Wed, 31 Jan 2024 07:00:00 -0000", 3600.0),
        (format_datetime(NOW.astimezone(EAST) + timedelta(hours=1)), 3600.0),
        # The past.
        ("Wed, 31 Jan 2024 06:00:00 GMT", None),
        ("Tue, 30 Jan 2024 06:00:00 GMT", None),
        # No dates.
        ("Fri, 99 Jan 2026 03:04:15 GMT", None),
        ("Fri, 02 Jan 99999999999 03:04:15 GMT", None),
    ],
)
def test_wait_that_a_header_asks_for(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds
