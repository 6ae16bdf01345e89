"""Where the published table of a dbt model is. Nothing here does I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.files import metadata
from airflow_provider_datafold.jobs.dbt.manifest import Manifest, Model

_PLACEHOLDER = "<custom_schema>"
_RULES = ("database", "schema", "custom_schema")


class Production(Protocol):
    """Knows the published tables."""

    @property
    def removed(self) -> Manifest:
        """The models that are published, and no longer built."""

    def check(self, models: Iterable[Model]) -> None:
        """Refuse models of which it cannot say where they are published."""

    def table(self, model: Model) -> tuple[str, ...] | None:
        """Return the path of a model's published table, ``None`` if there is none."""


@dataclass(frozen=True)
class ProductionManifest:
    """Finds published tables in the manifest of the run that published them."""

    built: Manifest
    published: Manifest

    @cached_property
    def removed(self) -> Manifest:
        """The models that only the published manifest has, unless another has taken the table."""
        known = {*self.built, *(model.unique_id for model in self._twins.values())}
        return {
            unique_id: model
            for unique_id, model in self.published.items()
            if model.has_table and unique_id not in known
        }

    def check(self, models: Iterable[Model]) -> None:
        """Accept all models: one that the manifest does not have is new."""

    def table(self, model: Model) -> tuple[str, ...] | None:
        """Return the table that the model's would replace, or else that of the same unique id."""
        twin = self._twins.get(model.unique_id)
        return None if twin is None else twin.table

    @cached_property
    def _twins(self) -> Mapping[str, Model]:
        """The published model of each that was built, by the latter's unique id."""
        heirs, free = _moved(self.built, self.published), _moved(self.published, self.built)
        twins = {
            unique_id: model
            for unique_id, model in self.published.items()
            if unique_id in self.built and model.has_table
        }
        for place, models in heirs.items():
            # If there are several, such as of two packages, nobody knows which is which.
            if len(models) == len(free[place]) == 1:
                twins[models[0].unique_id] = free[place][0]
        return twins


def _moved(manifest: Manifest, other: Manifest) -> defaultdict[tuple[str, ...], list[Model]]:
    """Find the models that have another place in the other manifest, or none, by their places."""
    found = defaultdict(list)
    for unique_id, model in manifest.items():
        twin = other.get(unique_id)
        if model.has_table and not (twin and twin.has_table and twin.place == model.place):
            found[model.place].append(model)
    return found


def check_project(
    argument: str, built: Mapping[str, Any], published: Mapping[str, Any], manifest: Manifest
) -> None:
    """Refuse the manifest of another project, by which all models would be new."""
    ours, theirs = metadata(built), metadata(published)
    names = ("project_name", "project_id")
    is_other = any(ours.get(name) and theirs.get(name) not in (None, ours[name]) for name in names)
    project = ours.get("project_name")
    own = [model for model in manifest.values() if project in (None, model.package)]
    if is_other and not any(model.unique_id in published["nodes"] for model in own):
        name = theirs.get("project_name")
        raise DatafoldInputError(
            f"{argument}: is of {f'the project {name}' if name else 'another project'}, and has "
            f"none of the models that were built. Pass the manifest of the run that published "
            f"them, or rules as production. Nothing was sent."
        )


@dataclass(frozen=True)
class ProductionRules:
    """Derives published tables from the names of those that were built, as Datafold's SDK does."""

    database: str | None = None
    schema: str | None = None
    custom_schema: str | None = None

    @property
    def removed(self) -> Manifest:
        """None that the rules know."""
        return {}

    def check(self, models: Iterable[Model]) -> None:
        """Refuse models with a schema that no rule is for, and two with one published table."""
        models = [*models]
        lost = [model for model in models if model.custom_schema]
        if lost and self.schema is not None and self.custom_schema is None:
            raise DatafoldInputError(
                f"production: has no 'custom_schema', but these models have a schema of their own: "
                f"{', '.join(f'{model.label} ({model.custom_schema})' for model in lost)}. Pass "
                f"e.g. {{'custom_schema': 'prod_{_PLACEHOLDER}'}}. Nothing was sent."
            )
        by_table = defaultdict(list)
        for model in models:
            by_table[self.table(model)].append(model.unique_id)
        shared = [
            f"{' and '.join(ids)} ({'.'.join(table)})"
            for table, ids in by_table.items()
            if len(ids) > 1
        ]
        if shared:
            raise DatafoldInputError(
                f"production: sends several models to one published table: "
                f"{fields.format_names(shared)}. Keep their schemas apart with {_PLACEHOLDER!r} "
                f"in 'custom_schema', or pass production_manifest. Nothing was sent."
            )

    def table(self, model: Model) -> tuple[str, ...]:
        """Return the published table: each model has one."""
        database = model.custom_database or self.database or model.database
        schema = self.schema
        if model.custom_schema and self.custom_schema is not None:
            schema = self.custom_schema.replace(_PLACEHOLDER, model.custom_schema)
        return model.quoted(database, schema or model.schema, model.alias)


def read_rules(argument: str, value: Any) -> ProductionRules:
    """Check the rules."""
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
