"""An operation of Datafold's API, declared once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider_datafold.api import fields, multipart, shape
from airflow_provider_datafold.api.fields import Check
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.secret import Secret, encode, secrets_in

Returned = TypeVar("Returned")

_PLACE = re.compile(r"{(\w+)}")
_MIB = 1024 * 1024
_JSON = "application/json"
_SLOWEST = _MIB / 8
"""Bytes a second that a network must send."""


class Effect(Enum):
    """What a request does, and so whether it may be sent twice.

    The HTTP method does not say: the sync of a BI integration is a GET that starts something.
    """

    READS = "reads"
    """Changes nothing."""
    SETS = "sets"
    """Has the same effect whether it is sent once or twice."""
    STARTS = "starts"
    """Starts or creates something each time it is processed."""

    @property
    def is_repeatable(self) -> bool:
        """Whether the request may be sent again if it is not known whether it was processed."""
        return self is not Effect.STARTS


@dataclass(frozen=True)
class Request:
    """A checked request, with every value in its path quoted and its body concealed."""

    operation: Operation[Any]
    path: str
    body: Any = OMITTED
    named: tuple[str, str] | None = None
    """A field of the response and its value, by which it is known to answer this request."""

    @property
    def content(self) -> Secret | None:
        """The body as bytes, or as a form that is read while it is sent; ``None`` without one."""
        return self._encoded[1]

    @property
    def media_type(self) -> str:
        """What kind of body that is."""
        return self._encoded[0]

    @property
    def seconds_to_send(self) -> float:
        """How long sending a large body may take, beside the timeout of the connection."""
        return 0.0 if self.content is None else len(self.content.reveal()) / _SLOWEST

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets in the body."""
        return tuple(secrets_in(self.body))

    @cached_property
    def _encoded(self) -> tuple[str, Secret | None]:
        if self.body is OMITTED:
            return _JSON, None
        return multipart.encode(self.body) if self.operation.is_form else (_JSON, encode(self.body))


@dataclass(frozen=True)
class Operation(Generic[Returned]):
    """An operation of Datafold's API."""

    method: str
    path: str
    """From the contract, with the names of the hook's arguments for its fields."""
    effect: Effect
    noun: str
    """What errors call its resource."""
    returns: type[Returned]
    """``object`` if the contract gives no type."""
    path_fields: Mapping[str, Check] = field(default_factory=dict)
    """Those without a check are ids."""
    query: Mapping[str, Check] = field(default_factory=dict)
    body: Callable[[Any], Any] | None = None
    """Takes a concealed body and returns one that fits, in place of its shape in the contract."""
    body_name: str = "config"
    is_form: bool = False
    may_be_empty: bool = False
    """Whether a response without a body is a success, too."""
    largest: int = 10 * _MIB
    carries_secrets: bool = False
    """Whether to redact what the response has under the name of a secret: elsewhere a user's column
    may have such a name."""
    is_classic: bool = False
    is_findable: bool = False
    """Whether what it starts can be found again when the response is lost."""
    to_check: str = "the id"
    """What to check if the resource does not exist."""
    seen_in: str | None = None
    """The client of Datafold's that calls it, if the contract does not have it."""
    repeats: tuple[str, str] | None = None
    """A field of the response, and that of the path which it repeats."""

    def request(self, body: Any = OMITTED, /, **values: Any) -> Request:
        """Check a concealed body and the fields of path and query, without what is ``None``."""
        path = _PLACE.sub(lambda place: self._part(place[1], values), self.path)
        query = {
            name: _query_text(check(name, values[name]))
            for name, check in self.query.items()
            if values.get(name) is not None
        }
        if query:
            path = f"{path}?{urlencode(query)}"
        if body is OMITTED:
            return Request(self, path, named=self._named(values))
        return Request(self, path, self.fit(body))

    def fit(self, body: Any) -> Any:
        """Check a concealed body, and undo what templating did to its fields."""
        if self.body is not None:
            return self.body(body)
        return shape.fit(self.method, self.path, self.body_name, body)

    def _named(self, values: Mapping[str, Any]) -> tuple[str, str] | None:
        if self.repeats is None:
            return None
        field_of_response, name = self.repeats
        return field_of_response, self._part(name, values)

    def _part(self, name: str, values: Mapping[str, Any]) -> str:
        check: Check = self.path_fields.get(name, fields.positive_integer)
        return quote(str(check(name, values[name])), safe="")


def _query_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def free_request(
    method: Any, path: Any, body: Any, *, is_repeatable: bool | None, may_be_empty: bool
) -> Request:
    """Make a request that no operation declares; by default its method says if it is repeatable."""
    method = fields.http_method("method", method)
    if is_repeatable is None:
        is_repeatable = method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
    operation = Operation(
        method,
        fields.path("path", path),
        Effect.SETS if is_repeatable else Effect.STARTS,
        "resource",
        object,
        may_be_empty=may_be_empty,
        carries_secrets=True,
    )
    return Request(operation, operation.path, OMITTED if body is None else body)
