"""What a run of dbt says of each model. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_datafold.exceptions import DatafoldInputError

BUILT = "success"
"""The status of a model that was built."""

_BUILDERS = ("build", "retry", "run")
"""The commands of dbt that build models. Others, such as compile, have results of models, too."""


def read_statuses(argument: str, content: Mapping[str, Any]) -> dict[str, str]:
    """Read the status of each node.

    :param argument: the argument that names the file, for errors.
    :param content: the results of a run.
    :return: the statuses by unique id.
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
    return {
        str(result.get("unique_id")): str(result.get("status"))
        for result in results
        if isinstance(result, Mapping)
    }
