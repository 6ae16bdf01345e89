"""BI lineage: the integrations of Hightouch, Looker, Mode, Tableau, Power BI and dbt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from airflow_provider_datafold.api import fields, shape
from airflow_provider_datafold.api.caller import Caller
from airflow_provider_datafold.api.operation import Effect, Operation
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.omitted import OMITTED
from airflow_provider_datafold.redaction.secret import WRITE_ONLY, concealed

_BI = "/api/v1/lineage/bi/"
_BINDINGS = "[{'remoteId': '1', 'boundIds': [1, 2]}]"

Source = Literal["host", "login", "password", "extra"]
"""A field of an Airflow connection; ``extra`` is the field of its extra with the API's name."""


def bindings(name: str, value: Any) -> list[Any]:
    """Check bindings. What else Datafold returned with them is left out: no request has it."""
    entries = map(fields.literal, fields.sequence(name, value, f"must be a list, e.g. {_BINDINGS}"))
    check = shape.named("DataSourceBinding")
    return [check(f"{name}[{index}]", _ours(entry)) for index, entry in enumerate(entries)]


def _ours(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    return {key: entry[key] for key in ("remoteId", "boundIds") if key in entry}


@dataclass(frozen=True)
class Tool:
    """A tool with BI lineage: what the contract does not say about it."""

    name: str
    """As in the API's paths."""
    title: str
    sources: Mapping[str, Source] = field(default_factory=dict)
    """What holds the value of a field that no argument gives."""
    only_schedule: bool = True
    """Whether an update changes only the schedule, as the docs say."""

    @cached_property
    def _schema(self) -> shape.Schema:
        return shape.of("POST", f"{_BI}{self.name}/")

    @property
    def fields(self) -> Mapping[str, Any]:
        """The schemas of the configuration's fields, by the API's names."""
        found: Mapping[str, Any] = self._schema["properties"]
        return found

    def requires(self, name: str) -> bool:
        """Return whether the API refuses a configuration without a field."""
        return name in self._schema.get("required", ())

    def takes_null(self, name: str) -> bool:
        """Return whether a field may be null."""
        return {"type": "null"} in self.fields[name].get("anyOf", ())

    def body(self, config: Any, *, keeps: bool = False) -> dict[str, Any]:
        """Check a configuration; one that ``keeps`` the integration's bindings has null there."""
        given = dict(fields.mapping("config", config))
        own = {}
        if keeps and fields.undo_none(given.get("bindings", OMITTED)) is None:
            own, given["bindings"] = {"bindings": None}, []
        for name, check in (("indexing_cron", fields.indexing_cron), ("bindings", bindings)):
            if given.get(name) not in (None, OMITTED):
                given[name] = check(name, given[name])
        return {**shape.fit("POST", f"{_BI}{self.name}/", "config", given), **own}

    def with_bindings_of(self, integration: Any, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body with the bindings that an integration has in Datafold's response."""
        own = integration.get("bindings") if isinstance(integration, dict) else None
        if own is None and not self.requires("bindings"):
            return {name: value for name, value in body.items() if name != "bindings"}
        try:
            return {**body, "bindings": bindings("bindings", own)}
        except DatafoldInputError:
            raise DatafoldInputError(
                f"bindings: not given, and what Datafold returned for this integration has none "
                f"that could be sent. Check that the id is that of a {self.title} integration, or "
                f"pass them, e.g. bindings={_BINDINGS}. No update was sent."
            ) from None


KINDS = {
    kind.name: kind
    for kind in (
        Tool("hightouch", "Hightouch", {"token": "password"}),
        Tool(
            "looker",
            "Looker",
            {"base_url": "host", "client_id": "login", "client_secret": "password"},
        ),
        Tool("mode", "Mode", {"token": "extra", "password": "password"}),
        Tool(
            "tableau",
            "Tableau",
            {
                "server_url": "host",
                "site_id": "extra",
                "token_name": "login",
                "token_value": "password",
            },
        ),
        Tool(
            "powerbi",
            "Power BI",
            {"tenant_id": "extra", "client_id": "login", "client_secret": "password"},
            only_schedule=False,
        ),
        Tool("dbt", "dbt", only_schedule=False),
    )
}
"""By the API's names."""


def find(kind: Any) -> Tool:
    """Return the kind of this name, if there is one."""
    return KINDS[fields.one_of(*KINDS)("kind", kind)]


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a configuration that are not secrets."""
    return {name: value for name, value in config.items() if name not in WRITE_ONLY}


def differences(sent: Mapping[str, Any], answer: Any) -> Iterator[tuple[str, Any, Any]]:
    """Return name, value sent and value returned of each field that came back otherwise.

    The response's shape is not documented, so missing fields are ignored, and so are the order of a
    list and a trailing slash.
    """
    if not isinstance(answer, dict):
        return
    for name in public(sent):
        if name in answer and _comparable(answer[name]) != _comparable(sent[name]):
            yield name, sent[name], answer[name]


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


def _operation(method: str, path: str, effect: Effect, **more: Any) -> Operation[Any]:
    return Operation(
        method,
        _BI + path,
        effect,
        "integration",
        object,
        carries_secrets=True,
        is_classic=True,
        **more,
    )


LIST = _operation("GET", "", Effect.READS)
GET = _operation("GET", "{bi_datasource_id}/", Effect.READS)
DELETE = _operation("DELETE", "{bi_datasource_id}/", Effect.SETS, may_be_empty=True)
SYNC = _operation("GET", "{bi_datasource_id}/sync/", Effect.STARTS, may_be_empty=True)
CREATE = {
    kind.name: _operation("POST", f"{kind.name}/", Effect.STARTS, body=kind.body)
    for kind in KINDS.values()
}
UPDATE = {
    kind.name: _operation(
        "PUT",
        f"{kind.name}/{{bi_datasource_id}}/",
        Effect.SETS,
        body=kind.body,
        to_check=f"the id, that it is a {kind.title} integration",
    )
    for kind in KINDS.values()
}


class BIMethods(Caller):
    """The hook's methods for BI lineage that only call an operation.

    The contract does not say what they return.
    """

    def list_integrations(self) -> Any:
        """List all BI integrations (``GET /api/v1/lineage/bi/``).

        :return: the parsed response; the API documents no shape.
        """
        return self.call(LIST)

    def get_integration(self, bi_datasource_id: int | str) -> Any:
        """Read a BI integration (``GET /api/v1/lineage/bi/{bi_datasource_id}/``).

        :param bi_datasource_id: the integration's id, e.g. ``7`` or ``"7"``.
        :return: the parsed response; the API documents no shape.
        """
        return self.call(GET, bi_datasource_id=bi_datasource_id)

    def delete_integration(self, bi_datasource_id: int | str) -> Any:
        """Remove a BI integration (``DELETE /api/v1/lineage/bi/{bi_datasource_id}/``).

        :param bi_datasource_id: the integration's id, e.g. ``7`` or ``"7"``.
        :return: the parsed response, ``None`` for an empty one; the API documents no shape.
        :raises DatafoldNotFoundError: there is no such integration. If the message says that this
            was a second attempt, the first one may have removed it.
        """
        return self.call(DELETE, bi_datasource_id=bi_datasource_id)

    @concealed
    def create_integration(self, kind: str, config: Mapping[str, Any]) -> Any:
        """Create a BI integration (``POST /api/v1/lineage/bi/{kind}/``).

        :param kind: ``"hightouch"``, ``"looker"``, ``"mode"``, ``"tableau"``, ``"powerbi"`` or
            ``"dbt"``.
        :param config: values by the API's names of the fields, secrets included;
            the contract says which fields a kind has.
        :return: the parsed response; the API documents no shape. Secrets in it are replaced.
        """
        found = self._guarded(lambda: find(kind), kind, config)
        return self.call(CREATE[found.name], config)
