"""What dbt does in other tasks than this provider's, such as those of Astronomer Cosmos."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold import jobs
from airflow_provider_datafold.api import fields

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def upload_artifacts(
    project_dir: str | os.PathLike[str],
    *,
    context: Context | None = None,
    ci_config_id: int | str,
    run_type: str,
    commit_sha: str,
    datafold_conn_id: str = "datafold_default",
) -> None:
    """Upload to Datafold what dbt wrote, as the callback of one Cosmos task.

    .. code-block:: python

        DbtBuildLocalOperator(
            task_id="build",
            callback=upload_artifacts,
            callback_args={
                "ci_config_id": 3,
                "run_type": "production",
                "commit_sha": "{{ params.commit_sha }}",
            },
            ...,
        )

    :param project_dir: folder of the dbt project, in which dbt has written ``target``.
    :param context: Airflow's task context, which Cosmos passes: the other arguments are rendered
        with it.
    :param ci_config_id: id of the CI configuration in Datafold, e.g. ``7`` or ``"7"``.
    :param run_type: ``"production"`` or ``"pull_request"``.
    :param commit_sha: sha of the commit that dbt ran with, 7 to 64 hexadecimal digits.
    :param datafold_conn_id: id of the Airflow connection to Datafold, with the API key as its
        password.
    :raises DatafoldInputError: an argument is wrong, or there is no manifest; nothing was sent.
    :raises DatafoldError: see
        :class:`~airflow_provider_datafold.hooks.datafold.DatafoldHook`.
    """
    given: dict[str, Any] = {
        "ci_config_id": ci_config_id,
        "run_type": run_type,
        "commit_sha": commit_sha,
        "datafold_conn_id": datafold_conn_id,
    }
    if context is not None:
        given = context["task"].render_template(given, context)
    checks = {"ci_config_id": fields.positive_integer, **jobs.dbt.upload.FACTS}
    with jobs.hook.JobHook(given["datafold_conn_id"]) as hook:
        facts = hook.checked(partial(fields.each_checked, checks), given)
        number = facts.pop("ci_config_id")
        target = os.path.join(project_dir, "target")
        with jobs.dbt.files.packed("project_dir", target, None) as archive:
            jobs.dbt.upload.upload_once(hook, number, archive, {**facts, "run_id": None})
        hook.log.info("Uploaded the artifacts of commit %s to Datafold.", facts["commit_sha"])
