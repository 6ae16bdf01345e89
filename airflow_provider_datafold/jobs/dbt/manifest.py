"""The models in the manifest of a dbt project. Nothing here does I/O.

The fields of :class:`Model` have dbt's names, unless they say more.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.files import metadata

_UNIQUE = ("unique", "unique_combination_of_columns")

_ANY_FAILURE = ("None", "!=0", ">0", ">=1")
"""Each way to say in a test's ``error_if`` that one failure is an error."""

_ALL_FAILURES = ("none", "count(*)", "count(1)")
"""Each way to say in a test's ``fail_calc`` that each row found is a failure."""

_MERGING = ("merge", "delete+insert")
"""The incremental strategies that make a ``unique_key`` unique. So do most adapters' defaults."""

_APPENDING = ("athena", "dremio", "glue", "spark", "teradata", "trino", "vertica")
"""The adapters whose default does not."""

_PART = re.compile(r'"(?:[^"]|"")*"|[^".]+')

Manifest = Mapping[str, "Model"]
"""All models of a project by their unique ids."""


class Quoted(str):
    """A name that the project quotes in SQL, so that it keeps its case."""


@dataclass(frozen=True)
class Column:
    """A column that the project describes."""

    name: str
    is_quoted: bool
    meta: Mapping[str, Any]
    tags: Sequence[str]
    constraints: Sequence[str]


@dataclass
class Tests:
    """What the project tests of a model's rows."""

    unique: list[list[str]] = field(default_factory=list)
    not_null: set[str] = field(default_factory=set)
    has_unproven: bool = False
    """Whether a test of uniqueness proves nothing. dbt counts it all the same."""


@dataclass(frozen=True)
class Model:
    """A model of a project."""

    unique_id: str
    name: str
    fqn: str
    file: str
    tags: Sequence[str]
    is_enabled: bool
    materialized: str
    database: str | None
    schema: str
    alias: str
    relation: str | None
    """The name of its table as dbt writes it in SQL."""
    custom_database: str | None
    custom_schema: str | None
    custom_alias: str | None
    meta: Mapping[str, Any]
    columns: Sequence[Column]
    primary_key: Sequence[str]
    unique_key: Sequence[str]
    constraints: Sequence[Mapping[str, Any]]
    tests: Tests

    @property
    def label(self) -> str:
        """The name for people, with the version if it has one."""
        return self.unique_id.split(".", 2)[-1]

    @property
    def package(self) -> str:
        """The project or the package that has it."""
        return self.unique_id.removeprefix("model.").partition(".")[0]

    @property
    def has_table(self) -> bool:
        """Whether dbt makes a table or a view of it."""
        return self.is_enabled and self.materialized != "ephemeral" and not self.is_external

    @property
    def is_external(self) -> bool:
        """Whether another project has it, of which dbt Mesh only knows the table."""
        return not self.file

    @property
    def place(self) -> tuple[str, ...]:
        """What the project says about the path of its table, in whichever target it is built.

        Macros of the project may make another name of it in each target.
        """
        alias = self.custom_alias or self.label.replace(".", "_")
        parts = (self.custom_database, self.custom_schema, alias)
        return tuple((part or "").lower() for part in parts)

    @property
    def table(self) -> tuple[str, ...]:
        """The path of its table."""
        return self.quoted(self.database, self.schema, self.alias)

    def quoted(self, *path: str | None) -> tuple[str, ...]:
        """Mark the parts of a path that dbt quotes in that of this table."""
        names = [name for name in path if name]
        parts = _PART.findall(self.relation or "")
        if len(parts) != len(names):
            return tuple(names)
        return tuple(
            Quoted(name) if part.startswith('"') else name
            for name, part in zip(names, parts, strict=True)
        )

    @property
    def quoted_columns(self) -> set[str]:
        """The columns that keep their case."""
        return {column.name for column in self.columns if column.is_quoted}


def read_manifest(argument: str, content: Mapping[str, Any]) -> Manifest:
    """Read the models of a manifest."""
    nodes = content.get("nodes")
    if not isinstance(nodes, Mapping):
        raise DatafoldInputError(
            f"{argument}: has no 'nodes', so it is not the manifest.json of a dbt project. Nothing "
            f"was sent."
        )
    found = list(_nodes(argument, content))
    tests = _read_tests((node, is_enabled) for _, node, is_enabled in found)
    is_appending = metadata(content).get("adapter_type") in _APPENDING
    merging = (*_MERGING, *(() if is_appending else ("default", "None")))
    return {
        unique_id: _read_model(argument, unique_id, node, tests[unique_id], is_enabled, merging)
        for unique_id, node, is_enabled in found
        if node.get("resource_type") == "model"
    }


def other_names(content: Mapping[str, Any]) -> set[str]:
    """Return how ``dbt ls`` prints what is not a model, such as tests and seeds.

    A test in SQL may have the name of a model. That counts as the model.
    """
    models, others = set[str](), set[str]()
    for node in content["nodes"].values():
        (models if node.get("resource_type") == "model" else others).add(_fqn(node))
    return others - models


def _nodes(
    argument: str, content: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Find all nodes, and whether they are enabled."""
    for unique_id, node in content["nodes"].items():
        if not isinstance(node, Mapping):
            raise _broken(argument, unique_id, "is not an object")
        yield unique_id, node, True
    for unique_id, versions in _mapping(content.get("disabled")).items():
        # A model may be enabled in one package and disabled in another.
        if unique_id not in content["nodes"]:
            for node in _mappings(versions if isinstance(versions, list) else [versions]):
                yield unique_id, node, False


def _read_model(
    argument: str,
    unique_id: str,
    node: Mapping[str, Any],
    tests: Tests,
    is_enabled: bool,
    merging: Sequence[str],
) -> Model:
    config = _mapping(node.get("config"))
    for name in ("name", "schema"):
        if not isinstance(node.get(name), str):
            raise _broken(argument, unique_id, f"has no {name!r}")
    unique_key = config.get("unique_key")
    is_merged = (
        config.get("materialized") == "incremental"
        and str(config.get("incremental_strategy")) in merging
    )
    return Model(
        unique_id=unique_id,
        name=node["name"],
        fqn=_fqn(node),
        file=str(node.get("original_file_path") or "").replace("\\", "/"),
        tags=[*_texts(node.get("tags")), *_texts(config.get("tags"))],
        is_enabled=is_enabled,
        materialized=str(config.get("materialized")),
        database=_text(node.get("database")),
        schema=node["schema"],
        alias=_text(node.get("alias")) or node["name"],
        relation=_text(node.get("relation_name")),
        custom_database=_text(config.get("database")),
        custom_schema=_text(config.get("schema")),
        custom_alias=_text(config.get("alias")),
        meta=_meta(node),
        columns=[_read_column(name, each) for name, each in _mapping(node.get("columns")).items()],
        primary_key=_texts(node.get("primary_key")),
        unique_key=_texts([unique_key] if isinstance(unique_key, str) else unique_key)
        if is_merged
        else [],
        constraints=_mappings(node.get("constraints")),
        tests=tests,
    )


def _read_column(key: str, column: Any) -> Column:
    column = _mapping(column)
    config = _mapping(column.get("config"))
    return Column(
        name=_text(column.get("name")) or key,
        is_quoted=column.get("quote") is True,
        meta=_meta(column),
        tags=[*_texts(column.get("tags")), *_texts(config.get("tags"))],
        constraints=[str(each.get("type")) for each in _mappings(column.get("constraints"))],
    )


def _read_tests(nodes: Iterable[tuple[Mapping[str, Any], bool]]) -> Mapping[str, Tests]:
    """Read the tests of all models, by the models' unique ids."""
    found: defaultdict[str, Tests] = defaultdict(Tests)
    for node, is_enabled in nodes:
        if node.get("resource_type") != "test":
            continue
        test = _mapping(node.get("test_metadata"))
        name, arguments = test.get("name"), _mapping(test.get("kwargs"))
        columns = _texts(arguments.get("combination_of_columns"))
        columns = columns or _texts([arguments.get("column_name")])
        if arguments.get("quote_columns") is True:
            columns = [f'"{column}"' for column in columns]
        tests = found[_tested(node)]
        is_proof = is_enabled and _finds_all(_mapping(node.get("config")))
        if name in _UNIQUE and not is_proof:
            tests.has_unproven = True
        elif name in _UNIQUE and columns:
            tests.unique.append(columns)
        elif name == "not_null" and is_proof:
            tests.not_null.update(columns)
    return found


def _finds_all(config: Mapping[str, Any]) -> bool:
    """Return whether a test looks at all rows, and fails at the first."""
    return (
        not config.get("where")
        and str(config.get("severity")).lower() != "warn"
        and str(config.get("error_if")).replace(" ", "") in _ANY_FAILURE
        and str(config.get("fail_calc")).replace(" ", "").lower() in _ALL_FAILURES
    )


def _tested(test: Mapping[str, Any]) -> str:
    """Return the unique id of what is tested, which not each version of dbt names."""
    needed = _texts(_mapping(test.get("depends_on")).get("nodes"))
    return _text(test.get("attached_node")) or next(iter(needed), "")


def _fqn(node: Mapping[str, Any]) -> str:
    return ".".join(_texts(node.get("fqn")))


def _broken(argument: str, unique_id: str, what: str) -> DatafoldInputError:
    return DatafoldInputError(
        f"{argument}: {unique_id!r} {what}, so it is not a manifest that dbt wrote. Nothing was "
        f"sent."
    )


def _meta(node: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the two places: dbt 1.10 moved meta into the config."""
    return {**_mapping(_mapping(node.get("config")).get("meta")), **_mapping(node.get("meta"))}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
