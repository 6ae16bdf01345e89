"""Build a dbt project with Astronomer Cosmos, and upload what dbt wrote to Datafold's CI."""

from __future__ import annotations

from datetime import datetime

from airflow.providers.common.compat.sdk import DAG, Param
from cosmos import ProfileConfig
from cosmos.operators.local import DbtBuildLocalOperator

from airflow_provider_datafold.dbt import upload_artifacts

with DAG(
    dag_id="datafold_cosmos_artifacts",
    description="Upload the artifacts of a dbt production run to Datafold's CI",
    doc_md=__doc__,
    schedule=None,  # The schedule of your dbt project, e.g. "0 4 * * *".
    start_date=datetime(2024, 1, 1),
    catchup=False,
    params={
        "commit_sha": Param(
            "0000000", type="string", title="Commit", description="Sha of what is deployed."
        ),
    },
    tags=["datafold"],
) as dag:
    # One task for the whole project: each task of a DbtDag has a manifest, but results of its own.
    DbtBuildLocalOperator(
        task_id="build",
        project_dir="/dbt",
        profile_config=ProfileConfig(
            profile_name="shop", target_name="production", profiles_yml_filepath="/dbt/profiles.yml"
        ),
        callback=upload_artifacts,
        # Cosmos calls it with its copy of the project, which is gone afterwards.
        callback_args={
            "ci_config_id": 3,
            "run_type": "production",
            "commit_sha": "{{ params.commit_sha }}",
        },
    )
