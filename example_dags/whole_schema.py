"""Compare each table of a schema with its copy, and send people one summary."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG, BaseNotifier, task

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.operators.summary import DatafoldSummarizeOperator

OLD, NEW = 1, 2
"""The ids of both data sources."""

TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema = 'SHOP' AND table_type = 'BASE TABLE' ORDER BY table_name
"""


class Message(BaseNotifier):
    """Stands for your notifier, e.g. that of the Slack provider."""

    template_fields = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        """Send the message."""
        print(f"To the channel: {self.text}")


@task(retries=2)
def list_tables() -> list[dict[str, Any]]:
    """Return the arguments of a gate for each table."""
    with DatafoldHook() as hook:
        rows = hook.query_data_source(OLD, TABLES)["rows"]
    # Databases spell the names of columns differently.
    paths = [list(row.values()) for row in rows]
    return [{"table1": path, "table2": path} for path in paths]


with DAG(
    dag_id="datafold_whole_schema",
    description="Compare each table of a schema, and send one summary",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["datafold"],
) as dag:
    gates = DatafoldRunDataDiffOperator.partial(
        task_id="gate",
        data_source1_id=OLD,
        data_source2_id=NEW,
        options={"infer_pk": True},
        deferrable=True,  # However many wait, they take no worker slot.
        max_active_tis_per_dag=8,  # As many as the databases can handle.
        retries=2,
        map_index_template="{{ task.table2 | last }}",
    ).expand_kwargs(list_tables())
    summarize = DatafoldSummarizeOperator(
        task_id="summarize",
        task_ids=["gate"],
        on_failure_callback=Message("{{ ti.xcom_pull('summarize', key='text') }}"),
    )
    gates >> summarize
