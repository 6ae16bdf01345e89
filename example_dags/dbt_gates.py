"""Build a dbt project, compare each model with the published one, and publish if all agree."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.dbt import DatafoldDbtModelsOperator
from airflow_provider_datafold.operators.summary import DatafoldSummarizeOperator

with DAG(
    dag_id="datafold_dbt_gates",
    description="Publish a dbt project only if its models differ by no more than they allow",
    doc_md=__doc__,
    schedule=None,  # The schedule of your dbt project, e.g. "0 4 * * *".
    start_date=datetime(2024, 1, 1),
    catchup=False,
    # A second run at the same time would build into the same schema.
    max_active_runs=1,
    params={
        "build": Param(
            "dbt build --target staging --project-dir /dbt --profiles-dir /dbt",
            type="string",
            title="Build",
            description="Builds all models into a schema of their own.",
        ),
        "manifest": Param(
            "/dbt/target/manifest.json",
            type="string",
            title="Manifest",
            description="Path or URL of what the build wrote.",
        ),
        "production_manifest": Param(
            "/dbt/production/manifest.json",
            type="string",
            title="Manifest of production",
            description="Path or URL of a copy of what the last published build wrote.",
        ),
        "publish": Param(
            "dbt build --target production --project-dir /dbt --profiles-dir /dbt"
            " && mkdir -p /dbt/production && cp /dbt/target/manifest.json /dbt/production/",
            type="string",
            title="Publish",
            description="Builds the published schema, and keeps the manifest for the next run.",
        ),
    },
    tags=["datafold"],
) as dag:

    @task.bash
    def build(params: Any = None) -> str:
        """Build the models into a schema of their own."""
        return str(params["build"])

    models = DatafoldDbtModelsOperator(
        task_id="models",
        manifest="{{ params.manifest }}",
        production_manifest="{{ params.production_manifest }}",
        data_source_id=1,  # Where both schemas are.
    )
    gate = DatafoldRunDataDiffOperator.partial(
        task_id="gate",
        deferrable=True,
        retries=2,  # For a lost worker; a model that differs is not compared again.
    ).expand_kwargs(models.output)
    # It fails unless each gate has passed, so that nothing after it runs.
    summary = DatafoldSummarizeOperator(task_id="summary", task_ids=["gate"])

    @task.bash
    def publish(params: Any = None) -> str:
        """Build the published schema."""
        return str(params["publish"])

    build() >> models
    gate >> summary >> publish()
