"""The kinds of BI integration and their fields, declared once.

The hook and the operators follow this declaration. The fields come from the schemas ``...Config``
in Datafold's published API contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_datafold.api import fields, schedule
from airflow_provider_datafold.api.bindings import bindings
from airflow_provider_datafold.api.fields import Check
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.names import WRITE_ONLY
from airflow_provider_datafold.redaction.secret import conceal


@dataclass(frozen=True)
class Field:
    """A field of a kind's configuration.

    :param name: the API's name for it.
    :param check: how to check it.
    :param required: whether the API refuses a configuration without it.
    :param nullable: whether the API accepts null.
    :param secret: whether it must never be shown, and so is not an argument of any operator.
    :param source: the field of an Airflow connection that holds it, ``None`` for no field.
        ``"extra"`` means the extra field of the same name.
    :param kept: an example of a value, for a field that an update may take from the integration
        itself: ``None`` then means the integration's own value. An error shows the example if the
        integration has none.
    """

    name: str
    check: Check
    required: bool = False
    nullable: bool = False
    secret: bool = False
    source: Literal["host", "login", "password", "extra"] | None = None
    kept: str | None = None


_INDEXING_CRON = Field("indexing_cron", schedule.indexing_cron, nullable=True)
_NAME = Field("name", fields.text, nullable=True)
_BINDINGS = "[{'remoteId': '1', 'boundIds': [1, 2]}]"


@dataclass(frozen=True)
class Kind:
    """A kind of BI integration.

    :param name: the API's name for it, as in its paths.
    :param title: the product's name.
    :param fields: the configuration's fields.
    :param only_schedule: whether an update changes only the schedule, according to the contract.
    """

    name: str
    title: str
    fields: tuple[Field, ...]
    only_schedule: bool = True

    def body(self, config: Mapping[str, Any], *, keeps: bool = False) -> dict[str, Any]:
        """Check a configuration.

        :param config: values by the API's names of the fields; :data:`OMITTED` stands for a
            missing field.
        :param keeps: whether a field that can be kept may be null; :meth:`filled` has its value.
        :return: a body that fits the contract, its fields in the declared order.
        :raises DatafoldInputError: a field is wrong, unknown or missing.
        """
        # The secrets inside a JSON string are not wrapped until it is parsed.
        config = conceal(fields.mapping("config", config))
        given = {name: value for name, value in config.items() if value is not OMITTED}
        names = [field.name for field in self.fields]
        for name in given:
            if name not in names:
                raise DatafoldInputError(
                    f"config: has {fields.format_value(name)}, but the fields of a {self.title} "
                    f"integration are {', '.join(names)}. Nothing was sent."
                )
        body = {}
        for field in self.fields:
            if field.name in given:
                value = given[field.name]
                if keeps and field.kept:
                    value = fields.undo_none(value)
                is_null = value is None and (field.nullable or (keeps and field.kept))
                body[field.name] = None if is_null else field.check(field.name, value)
            elif field.required:
                raise DatafoldInputError(
                    f"{field.name}: is missing; a {self.title} integration needs it. "
                    f"Nothing was sent."
                )
        return body

    def filled(self, body: Mapping[str, Any], integration: Any) -> dict[str, Any]:
        """Return a body in which each field that is to be kept has the integration's own value.

        :param body: a body in which they are null.
        :param integration: the integration as Datafold returned it, any JSON.
        :return: the body; without a field that the contract does not require and that the
            integration does not have.
        :raises DatafoldInputError: the integration does not have a value that could be sent.
        """
        own = integration if isinstance(integration, dict) else {}
        body = dict(body)
        for field in self.to_keep(body):
            if not field.required and own.get(field.name) is None:
                del body[field.name]
            else:
                body[field.name] = self._own(field, own.get(field.name))
        return body

    def to_keep(self, body: Mapping[str, Any]) -> list[Field]:
        """Return the fields of which an update is to send the integration's own values.

        :param body: a body in which they are null.
        """
        return [field for field in self.fields if field.kept and body.get(field.name, 0) is None]

    def _own(self, field: Field, value: Any) -> Any:
        with suppress(DatafoldInputError):
            return field.check(field.name, value)
        raise DatafoldInputError(
            f"{field.name}: not given, and what Datafold returned for this integration has none "
            f"that could be sent. Check that the id is that of a {self.title} integration, or pass "
            f"them, e.g. {field.name}={field.kept}. No update was sent."
        )


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "hightouch",
            "Hightouch",
            (
                Field("token", fields.secret, required=True, secret=True, source="password"),
                Field("bindings", bindings, required=True, kept=_BINDINGS),
                _INDEXING_CRON,
                _NAME,
                Field("workspace", fields.text, nullable=True),
            ),
        ),
        Kind(
            "looker",
            "Looker",
            (
                Field("base_url", fields.text, required=True, source="host"),
                Field("client_id", fields.text, required=True, source="login"),
                Field("client_secret", fields.secret, True, secret=True, source="password"),
                Field("repo_id", fields.integer, required=True),
                Field("project_ids", fields.texts),
                Field("bindings", bindings, kept=_BINDINGS),
                _INDEXING_CRON,
                _NAME,
            ),
        ),
        Kind(
            "mode",
            "Mode",
            (
                Field("token", fields.secret, required=True, secret=True, source="extra"),
                Field("password", fields.secret, required=True, secret=True, source="password"),
                Field("workspace", fields.text),
                _INDEXING_CRON,
                _NAME,
            ),
        ),
        Kind(
            "tableau",
            "Tableau",
            (
                Field("server_url", fields.text, required=True, source="host"),
                Field("site_id", fields.text, required=True, source="extra"),
                Field("token_name", fields.text, required=True, source="login"),
                Field("token_value", fields.secret, required=True, secret=True, source="password"),
                _INDEXING_CRON,
                _NAME,
            ),
        ),
        Kind(
            "powerbi",
            "Power BI",
            (
                Field("auth_type", fields.one_of("delegated", "service_principal"), nullable=True),
                Field("tenant_id", fields.text, nullable=True, source="extra"),
                Field("client_id", fields.text, nullable=True, source="login"),
                Field(
                    "client_secret", fields.secret, nullable=True, secret=True, source="password"
                ),
                _INDEXING_CRON,
                _NAME,
            ),
            only_schedule=False,
        ),
        Kind(
            "dbt",
            "dbt",
            (Field("ci_config_id", fields.integer, required=True), _INDEXING_CRON, _NAME),
            only_schedule=False,
        ),
    )
}
"""By the API's names."""


def find(kind: Any) -> Kind:
    """Find a kind by its name.

    :param kind: the name of one of :data:`KINDS`.
    :raises DatafoldInputError: there is no such kind.
    """
    return KINDS[fields.one_of(*KINDS)("kind", kind)]


def differences(sent: Mapping[str, Any], answer: Any) -> Iterator[tuple[str, Any, Any]]:
    """Find the fields that have another value in a response than in the body that was sent.

    The response's shape is not documented, so missing fields are ignored, and so are the order of a
    list and a trailing slash.

    :param sent: the body that was sent.
    :param answer: the parsed response, any JSON.
    :return: for each field that differs its name, the value sent and the value returned.
    """
    if not isinstance(answer, dict):
        return
    for field in public(sent):
        if field in answer and _comparable(answer[field]) != _comparable(sent[field]):
            yield field, sent[field], answer[field]


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a configuration that are not secrets."""
    return {name: value for name, value in config.items() if name not in WRITE_ONLY}


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        # A trailing slash makes no other address.
        return value.rstrip("/")
    if not isinstance(value, list):
        return value
    if all(isinstance(entry, str) for entry in value):
        return sorted(value)
    try:
        return sorted((entry["remoteId"], sorted(entry["boundIds"])) for entry in value)
    except (KeyError, TypeError):
        return value
