"""The part of the hook that the methods of the API's sections use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api.operation import Operation, Request, Returned
from airflow_provider_datafold.omitted import OMITTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_datafold.redaction.redactor import Checked, Redactor


class Caller:
    """Calls operations."""

    if TYPE_CHECKING:

        @property
        def log(self) -> Any:
            """The log of the task."""

        def _redactor(self, *given: Any) -> Redactor:
            """Make a redactor that knows the API key and the secrets in concealed values."""

        def _guarded(self, check: Callable[[], Checked], *given: Any) -> Checked:
            """Run a check of concealed values, whose error then shows no secret."""

        def _send(self, request: Request) -> Any:
            """Send a request, and return what the API returns."""

    def call(
        self, operation: Operation[Returned], body: Any = OMITTED, /, **values: Any
    ) -> Returned:
        """Call an operation of Datafold's API, with the fields of path and query by name."""
        raise NotImplementedError
