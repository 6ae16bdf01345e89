"""What a run of dbt says of each model. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.dbt.manifest import Manifest

BUILT = ("success", "partial success")
"""The statuses of a model that was built; the second one if some batches of a microbatch failed."""

SKIPPED = "skipped"
"""The status of a model after one that failed."""

_BUILDERS = ("build", "retry", "run")
"""The commands of dbt that build models. Others, such as compile, have results of models, too."""


@dataclass(frozen=True)
class Results:
    """The results of a run.

    :param statuses: the statuses by unique id.
    :param relations: the tables that were built, by unique id; older versions of dbt do not name
        them.
    """

    statuses: Mapping[str, str]
    relations: Mapping[str, str]


def read_results(argument: str, content: Mapping[str, Any]) -> Results:
    """Read the results of a run.

    :param argument: the argument that names the file, for errors.
    :param content: the results of a run.
    :raises DatafoldInputError: they are not results of a run that builds models.
    """
    results = content.get("results")
    if not isinstance(results, list):
        raise DatafoldInputError(
            f"{argument}: has no 'results', so it is not the run_results.json of dbt. Nothing was "
            f"sent."
        )
    arguments = content.get("args")
    command = arguments.get("which") if isinstance(arguments, Mapping) else None
    if command is not None and command not in _BUILDERS:
        raise DatafoldInputError(
            f"{argument}: was written by 'dbt {command}', which builds no models. Keep the file "
            f"that dbt build or dbt run wrote, and pass that. Nothing was sent."
        )
    found = [result for result in results if isinstance(result, Mapping)]
    return Results(
        {str(result.get("unique_id")): str(result.get("status")) for result in found},
        {
            str(result.get("unique_id")): str(result["relation_name"])
            for result in found
            if result.get("relation_name")
        },
    )


def check_tables(argument: str, results: Results, manifest: Manifest) -> None:
    """Refuse the results of a run that built other tables than the manifest names.

    Tables that were not built would be compared otherwise, and pass.

    :param argument: the argument that names the file, for errors.
    :param results: the results.
    :param manifest: the manifest that is said to be of the same run.
    :raises DatafoldInputError: there are such tables; the error names the models.
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
            f"{', '.join(others)}. Pass both files of the run that built the models. Nothing was "
            f"sent."
        )


def are_of_one_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two files are of the same run of dbt, as far as they say.

    :param one: what is in a file that dbt wrote.
    :param other: what is in another one.
    """
    ids = {_invocation_id(one), _invocation_id(other)}
    return None in ids or len(ids) == 1


def _invocation_id(content: Mapping[str, Any]) -> str | None:
    metadata = content.get("metadata")
    found = metadata.get("invocation_id") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, str) else None
