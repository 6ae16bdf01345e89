from __future__ import annotations

import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_datafold import exceptions
from airflow_provider_datafold.exceptions import DatafoldError

FAMILY = [
    kind
    for kind in vars(exceptions).values()
    if isinstance(kind, type) and issubclass(kind, DatafoldError)
]
FINAL = {
    "DatafoldFinalError",
    "DatafoldConfigurationError",
    "DatafoldInputError",
    "DatafoldCertificateError",
    "DatafoldRedirectError",
    "DatafoldAuthenticationError",
    "DatafoldPermissionError",
    "DatafoldNotFoundError",
    "DatafoldConflictError",
    "DatafoldValidationError",
    "DatafoldRejectedError",
    "DatafoldAnswerError",
    "DatafoldDifferenceError",
    "DatafoldNotComparedError",
    "DatafoldAlertError",
    "DatafoldWaitingForPersonError",
    "DatafoldJobCancelledError",
    "DatafoldDeadlineError",
    "DatafoldJobInvalidError",
}


def test_whether_airflow_may_retry_is_in_the_type() -> None:
    assert {kind.__name__ for kind in FAMILY if issubclass(kind, AirflowFailException)} == FINAL
    assert all(issubclass(kind, AirflowException) for kind in FAMILY)


@pytest.mark.parametrize("kind", FAMILY)
def test_survives_the_way_between_processes(kind: type[DatafoldError]) -> None:
    error = kind(
        "PUT /p: what happened. What to do.",
        reason="what happened. What to do.",
        status_code=422,
        method="PUT",
        path="/p",
        retry_after=5.0,
        errors=[("body.name", "Field required")],
    )
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == "PUT /p: what happened. What to do."
    assert copy.summary == "what happened"
    assert (
        vars(copy)
        == vars(error)
        == {
            "reason": "what happened. What to do.",
            "status_code": 422,
            "method": "PUT",
            "path": "/p",
            "retry_after": 5.0,
            "errors": (("body.name", "Field required"),),
        }
    )


def test_knows_nothing_by_default() -> None:
    error = DatafoldError("text")
    assert error.status_code is error.method is error.path is error.retry_after is None
    assert error.errors == ()
    assert error.reason == error.summary == "text"


@pytest.mark.parametrize(
    ("reason", "summary"),
    [
        ("One sentence.", "One sentence"),
        ("One. Another.", "One"),
        ("A value, e.g. 7. Another.", "A value, e.g. 7"),
        ("...", ""),
        ("no column X. Look at the table.", "no column X"),
        ("no column X.", "no column X"),
        ("version 1.5 is not known", "version 1.5 is not known"),
    ],
)
def test_summary_is_the_first_sentence(reason: str, summary: str) -> None:
    assert DatafoldError("PUT /p: x", reason=reason).summary == summary
    assert DatafoldError(reason).summary == summary
