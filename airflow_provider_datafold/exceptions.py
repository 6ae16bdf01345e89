"""The errors of the provider: one family, in which the type says whether Airflow may retry.

.. code-block:: text

    DatafoldError                       an AirflowException
    ├── DatafoldFinalError              also an AirflowFailException: retrying will not help
    │   ├── DatafoldConfigurationError  an Airflow connection is missing or wrong
    │   ├── DatafoldInputError          a value given to an operator or hook is wrong
    │   ├── DatafoldCertificateError    the TLS certificate was refused
    │   ├── DatafoldRedirectError       3xx: the host is another one
    │   ├── DatafoldAuthenticationError 401
    │   ├── DatafoldPermissionError     403
    │   ├── DatafoldNotFoundError       404
    │   ├── DatafoldConflictError       409
    │   ├── DatafoldValidationError     422
    │   ├── DatafoldRejectedError       any other 4xx
    │   ├── DatafoldAnswerError         2xx, but not the JSON that the API documents
    │   ├── DatafoldDifferenceError     data differs beyond the limits
    │   ├── DatafoldNotComparedError    no result that limits could be applied to
    │   ├── DatafoldAlertError          a monitor run ended with an alert
    │   ├── DatafoldWaitingForPersonError  a job needs a person's confirmation or login
    │   ├── DatafoldJobCancelledError   a job was cancelled meanwhile
    │   ├── DatafoldDeadlineError       a job still ran at the deadline
    │   └── DatafoldJobInvalidError     a job failed, and would fail again
    └── DatafoldTransientError          may succeed later
        ├── DatafoldConnectionError     the connection broke, or could not be made
        │   └── DatafoldUnreachableError  ... could not be made: nothing was sent
        ├── DatafoldTimeoutError        no complete response in time
        ├── DatafoldRateLimitError      429
        ├── DatafoldServerError         408, 425 and 5xx
        ├── DatafoldStoppedError        the task was stopped meanwhile
        └── DatafoldJobFailedError      a job failed; a retry starts a new one
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

_END = re.compile(r"(?<!e\.g)\. ")
"""Where a sentence ends."""


class DatafoldError(AirflowException):
    """Root of the provider's errors.

    Its text is made for the person on call: what was asked, of which connection, what came
    back, what to do. It never holds a secret or the raw response.

    :param message: the text of the error.
    :param reason: the part of it that says what came back and what to do; all of it by default.
    :param status_code: HTTP status of the response, ``None`` when there was none.
    :param method: HTTP method of the request, ``None`` when the error came before any.
    :param path: path of the request on Datafold's host, ``None`` when the error came before any.
    :param retry_after: seconds after which the service asks to try again, ``None`` when it
        does not say.
    :param errors: what a 422 response finds wrong: pairs of a location such as
        ``"body.bindings.0.remoteId"`` and a message such as ``"Field required"``.
    """

    status_code: int | None  # type: ignore[assignment]

    verdict: dict[str, Any] | None = None
    """The verdict that the error stands for, as it is in XCom; ``None`` on any other error."""

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        status_code: int | None = None,
        method: str | None = None,
        path: str | None = None,
        retry_after: float | None = None,
        errors: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.reason = message if reason is None else reason
        self.status_code = status_code
        self.method = method
        self.path = path
        self.retry_after = retry_after
        self.errors = tuple(errors)

    @property
    def summary(self) -> str:
        """The first sentence of the reason, without its full stop."""
        return _END.split(self.reason, maxsplit=1)[0].rstrip(".")


class DatafoldFinalError(DatafoldError, AirflowFailException):
    """Retrying will not help: Airflow fails the task at once, whatever its ``retries``."""


class DatafoldTransientError(DatafoldError):
    """May succeed later: the hook tries again, then Airflow, as the task's ``retries`` say."""


class DatafoldConfigurationError(DatafoldFinalError):
    """An Airflow connection is missing, or a field of it is wrong; nothing was sent."""


class DatafoldInputError(DatafoldFinalError):
    """A value given to an operator or to the hook is wrong; nothing was sent."""


class DatafoldCertificateError(DatafoldFinalError):
    """The TLS certificate of the host was refused; nothing was sent."""


class DatafoldRedirectError(DatafoldFinalError):
    """The response points to another address (3xx), which is never followed."""


class DatafoldAuthenticationError(DatafoldFinalError):
    """The API key was refused (401)."""


class DatafoldPermissionError(DatafoldFinalError):
    """The API key's user may not do this (403)."""


class DatafoldNotFoundError(DatafoldFinalError):
    """There is no such thing in Datafold, or no such API at this host (404)."""


class DatafoldConflictError(DatafoldFinalError):
    """The request conflicts with the current state of what it is about (409)."""


class DatafoldValidationError(DatafoldFinalError):
    """The request was understood and refused (422); ``errors`` names the fields."""


class DatafoldRejectedError(DatafoldFinalError):
    """The request was refused with another 4xx status, or with a status that no API returns."""


class DatafoldAnswerError(DatafoldFinalError):
    """The request was accepted (2xx), but the response is not one that can be used.

    It is not JSON, not of the type that the API documents, too large, or nothing that Airflow
    could keep in XCom.
    """


class DatafoldConnectionError(DatafoldTransientError):
    """The connection broke before the response was complete."""


class DatafoldUnreachableError(DatafoldConnectionError):
    """Could not connect, so nothing was sent."""


class DatafoldTimeoutError(DatafoldTransientError):
    """The response was not complete in time."""


class DatafoldRateLimitError(DatafoldTransientError):
    """Too many requests (429)."""


class DatafoldServerError(DatafoldTransientError):
    """The service is not able to answer now (408, 425, 5xx)."""


class DatafoldStoppedError(DatafoldTransientError):
    """The task was stopped while it called Datafold; no further request was sent."""


class DatafoldDifferenceError(DatafoldFinalError):
    """A data diff found more differences than the limits allow."""


class DatafoldNotComparedError(DatafoldFinalError):
    """A data diff ended without a result that the limits could be held against."""


class DatafoldAlertError(DatafoldFinalError):
    """A monitor run ended with an alert."""


class DatafoldWaitingForPersonError(DatafoldFinalError):
    """A job waits for a person's confirmation or login, so waiting longer will not help."""


class DatafoldJobCancelledError(DatafoldFinalError):
    """A job was cancelled at Datafold while the task waited for it."""


class DatafoldDeadlineError(DatafoldFinalError):
    """A job still ran when the task could wait no longer."""


class DatafoldJobInvalidError(DatafoldFinalError):
    """A job failed, and Datafold says that trying again is of no use."""


class DatafoldJobFailedError(DatafoldTransientError):
    """A job failed at Datafold; Airflow's retry starts a new one."""
