"""What a gate tells of its verdict: to XCom, also if it fails, and to the events of its assets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_datafold.jobs.gate.figures import Figures, column_stats, number
from airflow_provider_datafold.jobs.gate.verdict import Verdict

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.redaction.redactor import Redactor

KEY = "verdict"
"""Of the verdict in XCom."""

_MOST_COLUMNS = 50
_LONGEST_REASON = 500


@dataclass(frozen=True)
class Report:
    """Tells what came of a data diff.

    :param hook: knows the host.
    :param context: Airflow's task context.
    :param datadiff_id: the data diff's id.
    :param diff: the data diff as the API returned it; empty if that is not known.
    :param sent: the body of its creation, if that is known.
    :param redactor: knows the secrets.
    """

    hook: JobHook
    context: Context
    datadiff_id: int
    diff: Mapping[str, Any]
    sent: Mapping[str, Any]
    redactor: Redactor

    @property
    def name(self) -> str:
        """The data diff, at the begin of a message."""
        return f"Data diff {self.datadiff_id}"

    @property
    def see(self) -> str:
        """Where to look, at the end of a message: a terminal makes a link of it."""
        return f"See {self.hook.data_diff_url(self.datadiff_id)}"

    def tell(self, verdict: Verdict, results: Mapping[str, Any] | None) -> None:
        """Tell a verdict. It is a convenience: a failure is only a warning.

        :param verdict: the verdict.
        :param results: the data diff's ``summary_results``, if they were read.
        """
        if "ti" not in self.context:
            return
        data = self._data(verdict, results)
        try:
            self.context["ti"].xcom_push(key=KEY, value=data)
            self._tell_assets(data)
        except Exception as error:
            self.hook.log.warning(
                "Could not store the verdict on data diff %s (%s), so the tasks after this one do "
                "not see it.",
                self.datadiff_id,
                type(error).__name__,
            )

    def _data(self, verdict: Verdict, results: Mapping[str, Any] | None) -> dict[str, Any]:
        figures = Figures(self.diff, results, self.sent)
        clean = self.redactor.text
        return {
            "id": self.datadiff_id,
            "url": self.hook.data_diff_url(self.datadiff_id),
            "outcome": verdict.outcome.value,
            "reason": clean(verdict.reason)[:_LONGEST_REASON],
            "table1": self._table("table1"),
            "table2": self._table("table2"),
            "figures": figures.shown(),
            "columns": self._columns(results or {}),
            "assertions": {clean(text): holds for text, holds in verdict.assertions},
            "sampled": figures.is_sampled,
        }

    def _table(self, side: str) -> str | None:
        """Return the path of a table as the operator takes it; a query or a file has none."""
        path = self.diff.get(side) or self.sent.get(side)
        if not isinstance(path, list):
            return None
        return ".".join(_quoted(self.redactor.excerpt(str(part))) for part in path)

    def _columns(self, results: Mapping[str, Any]) -> list[dict[str, Any]]:
        counted = ((number(each.get("values_different")), each) for each in column_stats(results))
        worst = sorted(
            ((count, each) for count, each in counted if count), key=lambda pair: -pair[0]
        )
        return [
            {
                "name": self.redactor.excerpt(str(column.get("column_name"))),
                "different": count,
                "match": number(column.get("match")),
            }
            for count, column in worst[:_MOST_COLUMNS]
        ]

    def _tell_assets(self, data: Mapping[str, Any]) -> None:
        """Add the figures to the events of the task's assets, which a failed task does not have."""
        extra = {name: data[name] for name in ("id", "url", "figures")}
        for outlet in self.context["task"].outlets:
            if isinstance(outlet, Asset):
                self.context["outlet_events"][outlet].extra.update(extra)


def _quoted(part: str) -> str:
    """Quote a part of a table's path if the operator would not read it as one part."""
    return '"{}"'.format(part.replace('"', '""')) if {*part} & {*'."`'} else part
