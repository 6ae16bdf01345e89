"""What a gate tells of its verdict: to XCom, also if it fails, and to the events of its assets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, Asset

from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.jobs.gate.doubts import doubts
from airflow_provider_datafold.jobs.gate.figures import Figures, items, number, part, plain
from airflow_provider_datafold.jobs.gate.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_datafold.jobs.hook import JobHook
    from airflow_provider_datafold.redaction.redactor import Redactor

KEY = "verdict"
"""Of the verdict in XCom."""

TEXT = "text"
"""Of what people read of a verdict that does not pass, in XCom."""

_MOST_COLUMNS = 50
_MOST_NAMES = 5
_LONGEST_REASON = 500


@dataclass(frozen=True)
class Report:
    """Tells what came of a data diff.

    :param hook: knows the host.
    :param context: Airflow's task context.
    :param datadiff_id: the data diff's id.
    :param figures: what is known of it.
    :param redactor: knows the secrets.
    """

    hook: JobHook
    context: Context
    datadiff_id: int
    figures: Figures
    redactor: Redactor

    @property
    def name(self) -> str:
        """The data diff, at the begin of a message."""
        return f"Data diff {self.datadiff_id}"

    @property
    def see(self) -> str:
        """Where to look, at the end of a message: a terminal makes a link of it."""
        return f"See {self.hook.data_diff_url(self.datadiff_id)}"

    def details(self) -> list[str]:
        """Return what differs most, in sentences without a full stop."""
        return [text[:1].upper() + text[1:] for text in explain(self.figures)]

    def tell(self, verdict: Verdict, error: BaseException | None) -> dict[str, Any]:
        """Tell a verdict, and return it as data. A failure to store it is only a warning.

        :param error: what the task ends with.
        """
        data = {**self._data(verdict), "skips": skips(self.context, error)}
        if data["doubts"]:
            odd = "; ".join(data["doubts"])
            self.hook.log.warning("%s: %s. %s", self.name, odd, "This does not change the verdict.")
        text = None if verdict.outcome is Outcome.PASSES else self.text(data)
        store(self.context, data, text, self.hook.log)
        return data

    def text(self, data: Mapping[str, Any]) -> str:
        """Return a paragraph for people, in Markdown."""
        label = (data["table2"] or data["table1"] or self.name).replace("`", "")
        word = data["outcome"].replace("_", " ")
        details = "".join(f"{self.redactor.excerpt(text)}. " for text in self.details())
        return f"`{label}` {word}: {data['reason']}. {details}[{self.name}]({data['url']})"

    def _data(self, verdict: Verdict) -> dict[str, Any]:
        clean = self.redactor.text
        return {
            "kind": "data_diff",
            "id": self.datadiff_id,
            "url": self.hook.data_diff_url(self.datadiff_id),
            "outcome": verdict.outcome.value,
            "reason": clean(verdict.reason)[:_LONGEST_REASON],
            "table1": self._table("table1"),
            "table2": self._table("table2"),
            "figures": self.figures.shown(),
            "columns": self._columns(),
            "assertions": {clean(text): holds for text, holds in verdict.assertions},
            "sampled": self.figures.is_sampled,
            "doubts": [self.redactor.excerpt(text) for text in doubts(self.figures)],
        }

    def _table(self, side: str) -> str | None:
        """Return the path of a table as the operator takes it; a query or a file has none."""
        path = self.figures.diff.get(side) or self.figures.sent.get(side)
        if not isinstance(path, list):
            return None
        return ".".join(_quoted(self.redactor.excerpt(str(part))) for part in path)

    def _columns(self) -> list[dict[str, Any]]:
        match = {str(each.get("column_name")): each.get("match") for each in self.figures.columns}
        return [
            {
                "name": self.redactor.excerpt(name),
                "different": count,
                "match": number(match[name]),
            }
            for name, count in self.figures.differing_columns[:_MOST_COLUMNS]
        ]


def explain(figures: Figures) -> list[str]:
    """Say what differs most, in a few short sentences without a full stop."""
    return [*_differing(figures), *_schema(figures.results), *_keys(figures.results)]


def _differing(figures: Figures) -> Iterator[str]:
    if worst := figures.differing_columns:
        yield f"values differ in {_listed(f'{name!r} ({plain(count)})' for name, count in worst)}"


def _schema(results: Mapping[str, Any]) -> Iterator[str]:
    schema = part(results, "schema")
    for side, names in enumerate(items(schema, "exclusive_columns"), 1):
        if names and isinstance(names, list):
            yield f"only side {side} has {_listed(map(repr, names))}"
    if types := items(schema, "column_type_differs"):
        yield f"other types: {_listed(map(repr, types))}"


def _keys(results: Mapping[str, Any]) -> Iterator[str]:
    keys = part(results, "pks")
    for key, words in (("dupes", "duplicate primary keys"), ("nulls", "null primary keys")):
        counts = items(keys, key)
        if any(counts):
            yield f"{words}: {' and '.join(map(str, counts))}"


def _listed(words: Any) -> str:
    found = list(words)
    more = len(found) - _MOST_NAMES
    return ", ".join(found[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def store(context: Context, data: Mapping[str, Any], text: str | None, log: Any) -> None:
    """Store a verdict, and what people read of it, in XCom and in the events of assets."""
    if "ti" not in context:
        return
    with _stored(log, f"data diff {data['id']}"):
        context["ti"].xcom_push(key=KEY, value=data)
        if text is not None:
            context["ti"].xcom_push(key=TEXT, value=text)
        # A failed task's assets have no events.
        extra = {name: data[name] for name in ("id", "url", "figures")}
        for outlet in context["task"].outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(extra)


def push(context: Context, data: Mapping[str, Any], name: str, log: Any) -> None:
    """Store a verdict in XCom, without what people read of it."""
    if "ti" in context:
        with _stored(log, name):
            context["ti"].xcom_push(key=KEY, value=data)


@contextmanager
def _stored(log: Any, name: str) -> Iterator[None]:
    """Store a verdict in the block; a failure is only a warning."""
    try:
        yield
    except Exception as error:
        log.warning(
            "Could not store the verdict on %s (%s), so the tasks after this one do not see it.",
            name,
            type(error).__name__,
        )


def cause_of(error: BaseException) -> tuple[DatafoldError | None, str]:
    """Return the error of ours that a task ends with, if there is one, and why the task ends."""
    causes = (error, error.__cause__, error.__context__)
    found = next((each for each in causes if isinstance(each, DatafoldError)), None)
    return found, found.summary if found else f"the task ended with {type(error).__name__}"


def skips(context: Context, error: BaseException | None) -> bool:
    """Say whether a task skips itself over an error, as sensors may over any.

    If it is skipped without that, Airflow has skipped it later, and its verdict is an old one.
    """
    task = context.get("task")
    is_soft = any(getattr(task, name, False) for name in ("soft_fail", "never_fail"))
    return isinstance(error, AirflowSkipException) or (is_soft and error is not None)


def _quoted(part: str) -> str:
    """Quote a part of a table's path if the operator would not read it as one part."""
    return '"{}"'.format(part.replace('"', '""')) if {*part} & {*'."`'} else part
