"""What the methods of the API's sections need of the hook that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api.operation import Operation, Returned
from airflow_provider_datafold.omitted import OMITTED

if TYPE_CHECKING:
    from airflow_provider_datafold.redaction.redactor import Redactor


class Caller:
    """Calls operations."""

    if TYPE_CHECKING:

        @property
        def log(self) -> Any:
            """The log of the task."""

        @property
        def place(self) -> str:
            """Where calls go, for a line of log."""

        def redactor(self, *given: Any) -> Redactor:
            """Make a redactor that knows the API key and the secrets in concealed values."""

    def call(
        self, operation: Operation[Returned], body: Any = OMITTED, /, **values: Any
    ) -> Returned:
        """Call an operation of Datafold's API.

        :param operation: what is asked for.
        :param body: the body; none by default. ``None`` is sent as null.
        :param values: the fields of path and query by name.
        :return: what the API returns.
        :raises DatafoldInputError: a value does not fit the contract; nothing was sent.
        :raises DatafoldError: anything else came of it; the class says what.
        """
        raise NotImplementedError
