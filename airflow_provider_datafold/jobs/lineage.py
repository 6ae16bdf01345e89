"""Describe a data diff for OpenLineage. Only Airflow's OpenLineage provider imports this module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import InputDataset
from openlineage.client.facet_v2 import (
    InputDatasetFacet,
    data_quality_assertions_dataset as quality,
    external_query_run,
)

from airflow_provider_datafold.api import data_sources
from airflow_provider_datafold.exceptions import DatafoldError

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook

_PATIENCE = 3.0
"""Seconds to look up a data source: Airflow allows ten for all of lineage."""

_SCHEMES = {
    "mariadb": "mysql",
    "microsoft_fabric": "mssql",
    "pg": "postgres",
    "postgres_aurora": "postgres",
    "postgres_aws_rds": "postgres",
    "starburst": "trino",
    "azure_synapse": "mssql",
}
"""OpenLineage's name for a kind of database, if it is not Datafold's name."""

_DATABASE = ("dbname", "database", "db", "default_db", "projectId")
"""The options of a data source that may name the database, which a table's path may leave out."""


def lineage_of(
    hook: JobHook, diff: Mapping[str, Any], assertions: Iterable[tuple[str, bool]]
) -> OperatorLineage[Any, Any]:
    """Return what a data diff compared, and its result.

    :param hook: the hook to call.
    :param diff: the finished data diff as the API returns it.
    :param assertions: what the verdict asserts, and whether each holds.
    :return: both tables as inputs, with the assertions, and the data diff's page as the
        external query. A side that is a query or a file is not a dataset.
    """
    found = [quality.Assertion(assertion=text, success=success) for text, success in assertions]
    facets: dict[str, InputDatasetFacet] = {
        "dataQualityAssertions": quality.DataQualityAssertionsDatasetFacet(found)
    }
    page = hook.data_diff_url(diff["id"])
    inputs = [
        InputDataset(namespace, name, inputFacets=facets) for namespace, name in _tables(hook, diff)
    ]
    query = external_query_run.ExternalQueryRunFacet(str(diff["id"]), page)
    return OperatorLineage(inputs=inputs, run_facets={"externalQuery": query})


def _tables(hook: JobHook, diff: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the namespace and the name of each side that is a table, each table once."""
    sources: dict[Any, Mapping[str, Any]] = {}
    seen = set()
    for side in (1, 2):
        path, source_id = diff.get(f"table{side}"), diff.get(f"data_source{side}_id")
        if not path:
            continue
        if source_id not in sources:
            sources[source_id] = _source(hook, source_id)
        source = sources[source_id]
        dataset = _namespace(hook, source_id, source), _name(path, source)
        if dataset not in seen:
            seen.add(dataset)
            yield dataset


def _source(hook: JobHook, source_id: Any) -> Mapping[str, Any]:
    try:
        return hook.call_after_stop(data_sources.GET, within=_PATIENCE, data_source_id=source_id)
    except DatafoldError as error:
        hook.log.warning("Could not look up a data source for lineage: %s.", error.summary)
        return {}


def _namespace(hook: JobHook, source_id: Any, source: Mapping[str, Any]) -> str:
    kind, options = source.get("type"), _options(source)
    host, port = options.get("host") or options.get("account"), options.get("port")
    if kind == "bigquery":
        return "bigquery"
    if not kind or not host:
        return f"datafold://{hook.host}/{source_id}"
    return f"{_SCHEMES.get(kind, kind)}://{host}{f':{port}' if port else ''}"


def _name(path: list[str], source: Mapping[str, Any]) -> str:
    options = _options(source)
    database = next((options[name] for name in _DATABASE if options.get(name)), None)
    parts = [database, *path] if database and len(path) == 2 else path
    return ".".join(map(str, parts))


def _options(source: Mapping[str, Any]) -> Mapping[str, Any]:
    options = source.get("options")
    return options if isinstance(options, Mapping) else {}
