"""Try on a real account what the package assumes: ``python -m dev.trial --data-source 1``.

It prints which assumptions hold and what it learned, and writes every response without secrets to a
file of JSON lines. It compares constant rows, and archives the data diffs that it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Airflow writes into its home when it is imported.
os.environ.setdefault("AIRFLOW_HOME", str(Path("build", "airflow-home").absolute()))

from airflow_provider_datafold.api.data_diffs import LIST
from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.jobs.job import DATA_DIFF, DATA_SOURCE_TEST, Job

CONNECTION = "datafold_trial"
TAG = "airflow-provider-trial"
SECONDS_BETWEEN_READS = 2.0
MOST_READS = 150

_ROWS = "SELECT 1 AS id, 'a' AS name, 10 AS amount UNION ALL SELECT 2, 'b', 20"
ROWS = f"{_ROWS} UNION ALL SELECT 3, 'c', 30"
# Row 3 is removed, row 4 added, and the name of row 2 changed.
CHANGED = f"{_ROWS.replace('b', 'x')} UNION ALL SELECT 4, 'd', 40"
NONE = f"SELECT * FROM ({ROWS}) t WHERE id > 9"  # noqa: S608 - constants
FILTER = "id < 2"
CASES: dict[str, dict[str, Any]] = {
    "equal": {"query1": ROWS, "query2": ROWS},
    "changed": {"query1": ROWS, "query2": CHANGED},
    "filtered": {"query1": ROWS, "query2": CHANGED, "filter1": FILTER, "filter2": FILTER},
    "empty": {"query1": NONE, "query2": NONE},
}
MATCH_RATIOS = {
    "Datafold's published match score, 10/18 of all cells": 10 / 18,
    "equal rows by all keys, 1/4": 1 / 4,
    "equal rows by common keys, 1/2": 1 / 2,
    "equal values in common rows, 3/4": 3 / 4,
    "equal values in common rows with their keys, 5/6": 5 / 6,
}
"""What the match ratio of "changed" may be."""

_HIDDEN = {
    *("share_token", "user_id", "user_name", "email", "created_by", "owner"),
    *("name", "data_source1_name", "data_source2_name", "message"),
}
"""Fields that hold a secret or the account's names and addresses."""


def hidden(value: Any) -> Any:
    """Return a JSON value without secrets and the account's names."""
    if isinstance(value, list):
        return [hidden(item) for item in value]
    if isinstance(value, Mapping):
        return {
            name: "***" if name in _HIDDEN and item is not None else hidden(item)
            for name, item in value.items()
        }
    return value


class RecordingHook(DatafoldHook):
    """Keeps what was asked and what came back."""

    def __init__(self) -> None:
        super().__init__(CONNECTION)
        self.records: list[dict[str, Any]] = []
        self.started: list[int] = []
        self.case = ""

    def call(self, operation: Any, body: Any = None, /, **values: Any) -> Any:
        """Call an operation, and keep its response."""
        given = () if body is None else (body,)
        asked = {"method": operation.method, "path": operation.path, "values": values}
        record = {"case": self.case, **asked, "body": hidden(body)}
        self.records.append(record)
        try:
            answer = super().call(operation, *given, **values)
        except DatafoldError as error:
            failed = {"type": type(error).__name__, "status": error.status_code}
            record["error"] = {**failed, "errors": list(error.errors)}
            raise
        record["response"] = hidden(answer)
        if operation is LIST:
            # A list also has the data diffs of others.
            mine = [diff for diff in answer["results"] if diff.get("id") in self.started]
            record["response"] = hidden({**answer, "results": mine})
        return answer


class Trial:
    """Asks, and says what holds."""

    def __init__(self, hook: RecordingHook, data_source_id: int) -> None:
        self.hook, self.source = hook, data_source_id

    def run(self, table: str | None) -> None:
        """Try everything, and clean up."""
        try:
            with self.part("start"):
                started = {case: self.start(fields) for case, fields in CASES.items()}
                with self.part("list"):
                    page = self.hook.list_data_diffs(sort_order="desc", page_size=20)
                    tags = {found["id"]: found.get("tags") for found in page["results"]}
                    newest = tags.get(self.hook.started[-1])
                    expect("the newest data diffs list their tags", [TAG], newest)
                for case, (number, sent) in started.items():
                    with self.part(case):
                        self.compare(case, number, sent)
            with self.part("cancel"):
                number, _ = self.start(CASES["equal"])
                self.hook.cancel_data_diff(number)
                status = self.wait(DATA_DIFF, datadiff_id=number)["status"]
                learn("after a cancel the status is", status)
            with self.part("test"):
                job = self.hook.test_data_source(self.source)["job_id"]
                for step in self.wait(DATA_SOURCE_TEST, job_id=job).get("results") or ():
                    result = step.get("result")
                    shown = hidden(result) if isinstance(result, Mapping) else type(result).__name__
                    learn(f"step {step.get('step')!r} is {step.get('status')!r} with", shown)
            if table:
                with self.part("key"):
                    learn(f"keys of {table}", self.hook.guess_primary_key(self.source, table))
        finally:
            self.clean_up()

    def start(self, fields: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Start a data diff of queries; return its id and what was sent."""
        sides = {"data_source1_id": self.source, "data_source2_id": self.source}
        sent = {**sides, **fields, "pk_columns": ["id"], "tags": [TAG]}
        number = int(self.hook.create_data_diff(sent)["id"])
        self.hook.started.append(number)
        return number, sent

    def wait(self, job: Job, **ids: int) -> dict[str, Any]:
        """Read a job until it ends."""
        for _ in range(MOST_READS):
            found: dict[str, Any] = self.hook.call(job.read, **ids)
            if job.is_end(found.get(job.status)):
                return found
            time.sleep(SECONDS_BETWEEN_READS)
        raise DatafoldError(f"{job.noun} {ids} did not end in {MOST_READS} reads")

    def compare(self, case: str, number: int, sent: Mapping[str, Any]) -> None:
        """Say what Datafold made of a case."""
        found = self.wait(DATA_DIFF, datadiff_id=number)
        expect("status", "done", found["status"])
        results = self.hook.get_data_diff_summary_results(number)
        self.hook.get_data_diff_summary(number)
        stats, keys = found.get("diff_stats") or {}, results.get("pks") or {}
        rows = [stats.get("table_a_row_count"), stats.get("table_b_row_count")]
        counts = [stats.get(name) for name in ("rows_removed", "rows_added", "diff_rows_count")]
        result = {"changed": "different", "empty": "empty"}.get(case, "identical")
        expect("result", result, found.get("result"))
        ratio = stats.get("match_ratio")
        if case == "equal":
            unlike = {name: found.get(name) for name in sent if found.get(name) != sent[name]}
            expect("fields that do not come back as sent", {}, unlike)
            expect("source", "api", found.get("source"))
            expect("kind", "in_db", found.get("kind"))
            expect("sampled", False, stats.get("sampled"))
            expect("match_ratio", 1, ratio)
            expect("status of the results", "success", results.get("status"))
        if case == "changed":
            expect("rows removed, added, changed", [1, 1, 1], counts)
            expect("exclusive keys of each side", [1, 1], keys.get("exclusives"))
            learn(f"match_ratio {ratio} is", meaning(float(ratio or 0)))
        if case == "filtered":
            when = {(3, 3): "before", (1, 1): "after"}
            for name, pair in (("diff_stats", rows), ("pks", keys.get("total_rows"))):
                said = when.get(tuple(pair or ()), "neither before nor after")
                learn(f"rows in {name} are counted", f"{said} filters: {pair}")
        if case == "empty":
            expect("rows", [0, 0], rows)
            learn("match_ratio, and rows removed, added, changed are", [ratio, *counts])

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Go on with the next part if Datafold refuses this one."""
        self.hook.case, before = name, self.hook.case
        print(f"{name}:")
        try:
            yield
        except DatafoldError as error:
            print(f"  FAILED {error}")
        finally:
            self.hook.case = before

    def clean_up(self) -> None:
        """Cancel and archive the data diffs of this trial."""
        self.hook.case = "clean up"
        for number in self.hook.started:
            try:
                status = self.hook.get_data_diff(number).get("status")
                if status not in ("done", "failed", "cancelled"):
                    self.hook.cancel_data_diff(number)
                self.hook.update_data_diff(number, archived=True)
            except DatafoldError as error:
                print(f"Archive data diff {number} yourself: {error}")


def expect(name: str, wanted: Any, found: Any) -> None:
    is_so = found == wanted
    print(f"  holds  {name}: {found}" if is_so else f"  WRONG  {name}: {found}, not {wanted}")


def learn(name: str, found: Any) -> None:
    print(f"  learnt {name} {found}")


def meaning(ratio: float) -> str:
    """Name what a match ratio of the changed rows divides, as a share or in percent."""
    shares = {round(ratio, 2), round(ratio / 100, 2)}
    names = (name for name, value in MATCH_RATIOS.items() if round(value, 2) in shares)
    return next(names, "none of what we thought of")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trial."""
    parser = argparse.ArgumentParser(prog="python -m dev.trial", description=__doc__)
    parser.add_argument("--data-source", type=int, required=True, help="id of a SQL data source")
    parser.add_argument("--host", default="", help="where you log in (default: app.datafold.com)")
    parser.add_argument("--table", help="a table whose primary key Datafold guesses")
    parser.add_argument("--output", type=Path, default=Path("build", "trial.jsonl"))
    given = parser.parse_args(arguments)
    if not (key := os.environ.get("DATAFOLD_API_KEY")):
        parser.error("set DATAFOLD_API_KEY")
    connection = {"conn_type": "datafold", "host": given.host, "password": key}
    os.environ[f"AIRFLOW_CONN_{CONNECTION.upper()}"] = json.dumps(connection)
    with RecordingHook() as hook:
        reached, said = hook.test_connection()
        print(said)
        if not reached:
            return 1
        try:
            Trial(hook, given.data_source).run(given.table)
        finally:
            given.output.parent.mkdir(parents=True, exist_ok=True)
            given.output.write_text("".join(f"{json.dumps(each)}\n" for each in hook.records))
            count = len(hook.records)
            print(f"{count} responses are in {given.output}. Read it before you share it.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
