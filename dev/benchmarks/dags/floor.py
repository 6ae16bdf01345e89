"""A DAG of a task that does nothing."""

from datetime import datetime

from airflow.sdk import DAG, BaseOperator


class _Nothing(BaseOperator):
    def execute(self, context: object) -> None:
        pass


with DAG("floor", schedule=None, start_date=datetime(2024, 1, 1)):
    _Nothing(task_id="update")
