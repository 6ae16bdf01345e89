"""One summary of gates, monitors' runs and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_datafold import jobs
from airflow_provider_datafold.operators.base import DatafoldOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class DatafoldSummarizeOperator(BaseOperator):
    """Summarize gates and monitors' runs: log a table, make a message, fail if one did not pass.

    It sends nothing to Datafold: the tasks have left their verdicts, and what they left out, in
    XCom. By default it runs when all of them have ended, however they ended.

    .. code-block:: python

        [models, gates, monitors] >> DatafoldSummarizeOperator(
            task_id="summarize", task_ids=["models", "gate", "monitor"]
        )

    It pushes the XCom ``text``, a message in Markdown for any notifier, also if it fails.

    :param task_ids: ids of upstream tasks, or one id: gates, monitors' runs, sensors, and tasks
        that leave something out, such as
        :class:`~airflow_provider_datafold.operators.dbt.DatafoldDbtModelsOperator`. They may be
        mapped. In a task group, pass the id with the group's, ``"group.gate"``; in the mapped group
        that this task is in, it reads only the tasks with its own index.
    :param on_difference: what to do if only differences and alerts are left: ``"fail"`` or
        ``"pass"``, regardless of what the tasks made of them.
    :param on_left_out: what to do if something was left out: ``"warn"`` in the log and in the
        message, or ``"fail"``.
    :param trigger_rule: as for any operator.
    :return: ``{"passed", "failed", "skipped", "left_out", "entries": [...]}``, with four numbers
        and the worst 200 entries; it lands in XCom, also if the task fails.
    :raises DatafoldDifferenceError: only differences were found, or differences and alerts.
    :raises DatafoldAlertError: only alerts were found.
    :raises DatafoldNotComparedError: something else did not pass, nothing was compared at all, or
        something was left out and ``on_left_out`` is ``"fail"``.
    :raises DatafoldInputError: an argument is wrong, or the DAG has no such task.
    """

    template_fields: Sequence[str] = ("task_ids", "on_difference", "on_left_out")
    ui_color = DatafoldOperator.ui_color

    def __init__(
        self,
        *,
        task_ids: Sequence[str] | str,
        on_difference: str = "fail",
        on_left_out: str = "warn",
        trigger_rule: str = "all_done",
        **kwargs: Any,
    ) -> None:
        super().__init__(trigger_rule=trigger_rule, **kwargs)
        self.task_ids, self.on_difference = task_ids, on_difference
        self.on_left_out = on_left_out

    def execute(self, context: Context) -> dict[str, Any]:
        """Summarize.

        :param context: Airflow's task context.
        :return: the numbers and the entries; it lands in XCom.
        """
        return jobs.summary.summarize(
            context, self.task_ids, self.on_difference, self.on_left_out, self.log
        )
