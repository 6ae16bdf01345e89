"""Describe a data diff for OpenLineage. Only Airflow's OpenLineage provider imports this module."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import InputDataset
from openlineage.client.facet_v2 import (
    data_quality_assertions_dataset as quality,
    data_quality_metrics_input_dataset as metrics,
    external_query_run,
)

from airflow_provider_datafold.api import data_sources
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.jobs.gate.figures import part, plain
from airflow_provider_datafold.jobs.gate.verdict import Verdict

try:
    from openlineage.client.facet_v2 import test_run
except ImportError:  # Clients before 1.47.
    test_run = None  # type: ignore[assignment]

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
    hook: JobHook, diff: Mapping[str, Any], verdict: Verdict, severity: str
) -> OperatorLineage[Any, Any]:
    """Return what a data diff compared, and its result."""
    told = [
        {"assertion": text, "success": holds, "severity": severity, **_details(verdict, text)}
        for text, holds in verdict.assertions
    ]
    found = [quality.Assertion(**_known(quality.Assertion, each)) for each in told]
    facet = quality.DataQualityAssertionsDatasetFacet(found)
    inputs = [
        InputDataset(name, path, inputFacets={"dataQualityAssertions": facet, **rows})
        for (name, path), rows in _tables(hook, diff).items()
    ]
    page = hook.data_diff_url(diff["id"])
    run: dict[str, Any] = {
        "externalQuery": external_query_run.ExternalQueryRunFacet(str(diff["id"]), page)
    }
    if not inputs and test_run is not None:
        run["test"] = test_run.TestRunFacet([_test(each) for each in told])
    return OperatorLineage(inputs=inputs, run_facets=run)


def _details(verdict: Verdict, text: str) -> dict[str, Any]:
    check = verdict.checks.get(text)
    if check is None:
        return {"name": text}
    actual = {"actual": plain(check.found), "column": check.column}
    return {"name": check.figure, "expected": check.limit, **actual}


def _test(told: dict[str, Any]) -> Any:
    status = "pass" if told["success"] else "fail"
    own = {"type": told["name"], "name": told["assertion"], "status": status}
    return test_run.TestExecution(**_known(test_run.TestExecution, {**told, **own}))


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the installed client has a field for."""
    names = inspect.signature(kind).parameters
    return {name: value for name, value in values.items() if name in names}


def _tables(hook: JobHook, diff: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the namespace and the name of each side that is a table, with its count of rows."""
    sources: dict[Any, Mapping[str, Any]] = {}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for side, letter in ((1, "a"), (2, "b")):
        path, source_id = diff.get(f"table{side}"), diff.get(f"data_source{side}_id")
        if not path:
            continue
        if source_id not in sources:
            sources[source_id] = _source(hook, source_id)
        source = sources[source_id]
        count = part(diff, "diff_stats").get(f"table_{letter}_row_count")
        facet = metrics.DataQualityMetricsInputDatasetFacet({}, rowCount=count)
        rows = {"dataQualityMetrics": facet} if type(count) is int else {}
        found.setdefault((_namespace(hook, source_id, source), _name(path, source)), rows)
    return found


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
