"""Where the published table of a dbt model is. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.manifest import Manifest, Model

_PLACEHOLDER = "<custom_schema>"
_RULES = ("database", "schema", "custom_schema")


class Production(Protocol):
    """Knows the published tables."""

    def check(self, models: Iterable[Model]) -> None:
        """Refuse models of which it cannot say where they are published.

        :param models: the models.
        :raises DatafoldInputError: there are such models; the error names all of them.
        """

    def table(self, model: Model) -> tuple[str, ...] | None:
        """Return the path of a model's published table, ``None`` if there is none.

        :param model: the model that was built.
        """


@dataclass(frozen=True)
class ProductionManifest:
    """Finds published tables in the manifest of the run that published them.

    :param manifest: that manifest.
    """

    manifest: Manifest

    def check(self, models: Iterable[Model]) -> None:
        """Accept all models: one that the manifest does not have is new."""

    def table(self, model: Model) -> tuple[str, ...] | None:
        """Return the table of the model with the same unique id."""
        twin = self.manifest.get(model.unique_id)
        if twin is None or not twin.is_enabled or twin.materialized == "ephemeral":
            return None
        return twin.table


@dataclass(frozen=True)
class ProductionRules:
    """Derives published tables from the names of those that were built, as Datafold's SDK does.

    :param database: the published database, by default that of the model.
    :param schema: the published schema, by default that of the model.
    :param custom_schema: the published schema of models for which the project sets a schema of
        their own, which replaces ``<custom_schema>`` in it.
    """

    database: str | None = None
    schema: str | None = None
    custom_schema: str | None = None

    def check(self, models: Iterable[Model]) -> None:
        """Refuse models with a schema of their own, if there is no rule for it."""
        if self.schema is None or self.custom_schema is not None:
            return
        lost = [model for model in models if model.custom_schema]
        if lost:
            raise DatafoldInputError(
                f"production: has no 'custom_schema', but these models have a schema of their own: "
                f"{', '.join(f'{model.label} ({model.custom_schema})' for model in lost)}. Pass "
                f"e.g. {{'custom_schema': 'prod_{_PLACEHOLDER}'}}. Nothing was sent."
            )

    def table(self, model: Model) -> tuple[str, ...] | None:
        """Return the published table: each model has one."""
        database = model.custom_database or self.database or model.database
        schema = self.schema
        if model.custom_schema and self.custom_schema is not None:
            schema = self.custom_schema.replace(_PLACEHOLDER, model.custom_schema)
        return tuple(part for part in (database, schema or model.schema, model.alias) if part)


def read_rules(argument: str, value: Any) -> ProductionRules:
    """Check the rules.

    :param argument: the argument's name, for errors.
    :param value: a mapping, or a dictionary as JSON or as a Python literal.
    :return: the rules.
    :raises DatafoldInputError: there is none, or one that is unknown or wrong.
    """
    given: Mapping[str, Any] = fields.mapping(argument, value)
    rules = {name: rule for name, rule in given.items() if fields.undo_none(rule) is not None}
    unknown = [name for name in rules if name not in _RULES]
    if unknown or not rules:
        found = ", ".join(map(fields.format_value, unknown)) or "nothing"
        raise DatafoldInputError(
            f"{argument}: must have at least one of {', '.join(map(repr, _RULES))}, and no other "
            f"keys; found: {found}. Nothing was sent."
        )
    return ProductionRules(
        **{name: fields.name(f"{argument}.{name}", rule) for name, rule in rules.items()}
    )
