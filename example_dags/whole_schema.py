"""Compare each table of a schema with its copy in another warehouse, and send people one summary.

A migration, or a replica: the tables are paired by their names, and Datafold looks for their keys.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseNotifier

from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.summary import DatafoldSummarizeOperator
from airflow_provider_datafold.operators.tables import DatafoldTablesOperator

OLD, NEW = "Warehouse", "Lake"
"""The names of both data sources in Datafold; their ids will do, too."""


class Message(BaseNotifier):
    """Stands for your notifier, e.g. that of the Slack provider."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        """Send the message."""
        print(f"To the channel: {self.text}")


with DAG(
    dag_id="datafold_whole_schema",
    description="Compare each table of a schema, and send one summary",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as dag:
    tables = DatafoldTablesOperator(
        task_id="tables",
        data_source1_id=OLD,
        schema1="shop",
        data_source2_id=NEW,
        schema2="shop",
        exclude=["tmp_*"],
        primary_keys={"order_lines": ["order_id", "line"]},
        missing_pk="skip",  # The summary names them.
        arguments={"events": {"max_rows_added": 1000}},  # For all tables: "*".
        retries=2,
    )
    gates = DatafoldRunDataDiffOperator.partial(
        task_id="gate",
        deferrable=True,  # However many wait, they take no worker slot.
        max_active_tis_per_dag=8,  # Both warehouses work for each of them.
        retries=2,  # For a lost worker; a table that differs is not compared again.
    ).expand_kwargs(tables.output)
    summarize = DatafoldSummarizeOperator(
        task_id="summarize",
        task_ids=["tables", "gate"],  # Also what has no gate.
        on_failure_callback=Message("{{ ti.xcom_pull('summarize', key='text') }}"),
    )
    [tables, gates] >> summarize
