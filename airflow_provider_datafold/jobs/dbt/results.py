"""What a run of dbt says of each model. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.artifact import metadata
from airflow_provider_datafold.jobs.dbt.manifest import Manifest
from airflow_provider_datafold.jobs.dbt.selection import shown

BUILT = ("success", "partial success")
"""The statuses of a model that was built; the second one if some batches of a microbatch failed."""

SKIPPED = "skipped"
"""The status of a model after one that failed."""

_BUILDERS = ("build", "retry", "run")
"""The commands of dbt that build models. Others, such as compile, have results of models, too."""


@dataclass(frozen=True)
class Results:
    """The results of a run."""

    statuses: Mapping[str, str]
    relations: Mapping[str, str]


def read_results(argument: str, content: Mapping[str, Any]) -> Results:
    """Read the results of a run."""
    results = content.get("results")
    if not isinstance(results, list):
        raise DatafoldInputError(
            f"{argument}: has no 'results', so it is not the run_results.json of dbt. Nothing was "
            f"sent."
        )
    arguments = content.get("args")
    arguments = arguments if isinstance(arguments, Mapping) else {}
    command = arguments.get("which")
    if command is not None and command not in _BUILDERS:
        raise DatafoldInputError(
            f"{argument}: was written by 'dbt {command}', which builds no models. Keep the file "
            f"that dbt build or dbt run wrote, and pass that. Nothing was sent."
        )
    for flag in ("empty", "sample"):
        if arguments.get(flag):
            raise DatafoldInputError(
                f"{argument}: was written by 'dbt {command}' with --{flag}, which builds tables "
                f"without all of their rows. Build without it, and pass the files of that run. "
                f"Nothing was sent."
            )
    found = [result for result in results if isinstance(result, Mapping)]
    return Results(
        {str(result.get("unique_id")): str(result.get("status")).lower() for result in found},
        {
            str(result.get("unique_id")): str(result["relation_name"])
            for result in found
            if result.get("relation_name")
        },
    )


def check_tables(argument: str, results: Results, manifest: Manifest) -> None:
    """Refuse the results of a run that built other tables than the manifest names.

    Tables that were not built would be compared otherwise, and pass.
    """
    others = [
        f"{model.label} ({built}, not {model.relation})"
        for unique_id, built in sorted(results.relations.items())
        for model in [manifest.get(unique_id)]
        if model is not None and model.relation not in (None, built)
    ]
    if others:
        raise DatafoldInputError(
            f"{argument}: is of another run than the manifest, because other tables were built: "
            f"{shown(others)}. Pass both files of the run that built the models. Nothing was "
            f"sent."
        )


def are_of_one_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two files are of the same run of dbt, as far as they say."""
    ids = [metadata(content).get("invocation_id") for content in (one, other)]
    return None in ids or ids[0] == ids[1]
