"""The section Data diffs: comparisons of two tables or queries."""

from __future__ import annotations

from typing import Any

from dev.comparison.comparison import Comparison
from dev.sandbox import real_diffs, schema
from dev.sandbox.course import Course, Courses, Job, Step
from dev.sandbox.data_sources import DataSources
from dev.sandbox.moment import now
from dev.sandbox.register import Register, ordered, page_of
from dev.sandbox.router import Router

Diff = dict[str, Any]

_FULL = {"$ref": "#/components/schemas/ApiDataDiffFull"}
_WAY = (Step("waiting"), Step("processing"))
STATS: dict[str, Any] = {
    "version": "1",
    "diff_rows_count": 0,
    "rows_added": 0,
    "rows_removed": 0,
    "match_ratio": 1.0,
    "diff_schema": 0.0,
    "table_a_row_count": 100,
    "table_b_row_count": 100,
    "sampled": False,
}
_UNMEASURED = STATS | dict.fromkeys(
    ("diff_rows_count", "rows_added", "rows_removed", "match_ratio")
)
_STATS_OF: dict[str, dict[str, Any]] = {
    "empty": _UNMEASURED | {"table_a_row_count": 0, "table_b_row_count": 0},
    "missing-pks": _UNMEASURED,
    "bad-pks": _UNMEASURED,
}
"""The figures by result; otherwise those of two equal tables."""

_CANCELLED = {
    "error_type": "Cancelled",
    "error_value": "The data diff was cancelled.",
    "is_retryable": True,
}
_PENDING = {"waiting", "queued", "needs_confirmation", "needs_authentication"}

router = Router()


def done(result: str, **stats: Any) -> Course:
    """Return the course of a diff that is done after two reads."""
    found = _STATS_OF.get(result, STATS) | stats
    grown = (found["rows_added"] or 0) - (found["rows_removed"] or 0)
    if found["table_a_row_count"] is not None:
        found = {**found, "table_b_row_count": found["table_a_row_count"] + grown} | stats
    return Course(_WAY, "done", {"result": result, "diff_stats": found})


def failed(error_type: str, error_value: str, is_retryable: bool | None = None) -> Course:
    """Return the course of a diff that fails after two reads."""
    error = {"error_type": error_type, "error_value": error_value, "is_retryable": is_retryable}
    return Course(_WAY, "failed", {"result": "error", "error": error})


IDENTICAL = done("identical")
DIFFERENT = done("different", rows_added=3, rows_removed=2, diff_rows_count=5, match_ratio=0.95)


class DataDiffs:
    def __init__(self) -> None:
        self.courses = Courses(IDENTICAL)
        """The courses of the next diffs."""
        self.diffs: Register[Diff] = Register("Data diff")
        self.jobs: dict[int, Job | Comparison] = {}
        self.delay = 0.0
        """Extra seconds for the next diffs that really compare."""
        for name, course in (("ORDERS", IDENTICAL), ("CUSTOMERS", DIFFERENT)):
            table = ["DB", "PUBLIC", name]
            body = {"data_source1_id": 1, "data_source2_id": 1, "table1": table, "table2": table}
            # The diffs that exist from the beginning have ended.
            over = Job(Course((), course.end, course.outcome))
            self.add({**body, "pk_columns": ["id"]}, over)

    def add(self, body: Diff, job: Job | Comparison) -> Diff:
        number = self.diffs.number()
        same = body["data_source1_id"] == body["data_source2_id"]
        self.jobs[number] = job
        self.diffs[number] = {
            **schema.completed(_FULL, body),
            "pk_columns": body.get("pk_columns", []),
            "id": number,
            "kind": "in_db" if same else "cross_db",
            "source": "api",
            "user_id": 1,
            "created_at": now(),
            "updated_at": now(),
            "share_token": f"share-{number}",
        }
        return self.peek(number)

    def peek(self, number: int) -> Diff:
        """Return a diff in its current state; this does not count as a read."""
        diff, job = self.diffs[number], self.jobs[number]
        return {
            **diff,
            "finished_at": job.finished_at,
            "status": job.status,
            "done": job.ended,
            "result": job.outcome.get("result"),
            "diff_stats": job.outcome.get("diff_stats"),
            "pk_columns": job.outcome.get("pk_columns") or diff["pk_columns"],
        }

    def read(self, number: int) -> Diff:
        """Return a diff to a caller, and count that as a read."""
        self.diffs.require(number)
        self.jobs[number].read()
        return self.peek(number)


@router.handles("POST", "/api/v1/datadiffs")
def create(data_diffs: DataDiffs, data_sources: DataSources, body: Diff) -> Any:
    """Create a diff. It really compares if there are databases, otherwise it follows a course."""
    addresses = data_sources.addresses(body)
    if not addresses:
        return data_diffs.add(body, data_diffs.courses.start(body))
    question = {**real_diffs.checked(body), **addresses, "delay": data_diffs.delay}
    return data_diffs.add(body, data_sources.comparisons.start(question))


@router.handles("GET", "/api/v1/datadiffs")
def list_page(
    data_diffs: DataDiffs,
    page: int,
    page_size: int,
    sort_order: str,
    order_by: str,
    accessible_only: bool,
) -> Any:
    diffs = [data_diffs.peek(number) for number in data_diffs.diffs]
    return page_of(ordered(diffs, order_by, sort_order), page, page_size, "results")


@router.handles("GET", "/api/v1/datadiffs/{datadiff_id}")
def show(data_diffs: DataDiffs, datadiff_id: int, poll: Any) -> Any:
    """Show a diff. This moves it on by a step."""
    return {**data_diffs.read(datadiff_id), "diff_progress": None}


@router.handles("PATCH", "/api/v1/datadiffs/{datadiff_id}")
def update(data_diffs: DataDiffs, datadiff_id: int, body: Diff | None) -> Any:
    """Archive or purge a diff, or undo that."""
    changes = {name: value for name, value in (body or {}).items() if value is not None}
    data_diffs.diffs[datadiff_id].update(changes, updated_at=now())
    return data_diffs.peek(datadiff_id)


@router.handles("POST", "/api/v1/datadiffs/{datadiff_id}/cancel")
def cancel(data_diffs: DataDiffs, datadiff_id: int) -> Any:
    diff = data_diffs.diffs[datadiff_id]
    job = data_diffs.jobs[datadiff_id]
    job.stop("cancelled")
    return {"id": diff["id"], "status": job.status}


@router.handles("GET", "/api/v1/datadiffs/{datadiff_id}/summary")
def show_summary(data_diffs: DataDiffs, data_sources: DataSources, datadiff_id: int) -> Any:
    diff = data_diffs.read(datadiff_id)
    sources = data_sources.sources
    fields = ("id", "status", "result", "diff_stats", "created_at", "finished_at", "pk_columns")
    sides = ("data_source1_id", "data_source2_id", "table1", "table2", "include_columns")
    outcome = data_diffs.jobs[datadiff_id].outcome
    error = outcome.get("error")
    return {
        **{name: diff.get(name) for name in (*fields, *sides)},
        "data_source1_name": sources[diff["data_source1_id"]]["name"],
        "data_source2_name": sources[diff["data_source2_id"]]["name"],
        "error": error.get("error_value") if isinstance(error, dict) else None,
        "feedback": outcome.get("feedback"),
    }


@router.handles("GET", "/api/v1/datadiffs/{datadiff_id}/summary_results")
def show_results(data_diffs: DataDiffs, datadiff_id: int) -> Any:
    """Show the results of a diff, for which the API has other status values."""
    diff = data_diffs.read(datadiff_id)
    job = data_diffs.jobs[datadiff_id]
    match diff["status"]:
        case "done":
            return results(diff, job)
        case "failed":
            return {"status": "failed", "error": job.outcome.get("error", {})}
        case "cancelled":
            return {"status": "failed", "error": _CANCELLED}
        case status:
            return {"status": "pending" if status in _PENDING else "running"}


def results(diff: Diff, job: Job | Comparison) -> dict[str, Any]:
    """Return the figures of a diff."""
    stats = diff["diff_stats"] or STATS
    figures = _figures(diff, stats) | job.outcome.get("figures", {})
    columns, compared = figures["columns"], figures["compared"]
    differing = [column["values_different"] for column in columns]
    values = {
        "total_rows": compared,
        "rows_with_differences": stats["diff_rows_count"] or 0,
        "total_values": (compared or 0) * len(columns),
        "values_with_differences": sum(differing),
        "compared_columns": len(columns),
        "columns_with_differences": sum(count > 0 for count in differing),
        "columns_diff_stats": columns,
    }
    within = {"dependencies": [], "materialized_results": {}, "schema": figures["schema"]}
    return {
        "status": "success",
        "pks": {
            "total_rows": [stats["table_a_row_count"] or 0, stats["table_b_row_count"] or 0],
            "exclusives": [stats["rows_removed"] or 0, stats["rows_added"] or 0],
            **{name: figures[name] for name in ("distincts", "dupes", "nulls")},
        },
        "values": None if compared is None else values,
        **(within if diff["kind"] == "in_db" else {}),
        **job.outcome.get("summary_results", {}),
    }


def _figures(diff: Diff, stats: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a diff that follows a course."""
    both = [stats["table_a_row_count"] or 0, stats["table_b_row_count"] or 0]
    common = both[0] - (stats["rows_removed"] or 0)
    columns = diff.get("include_columns") or ["amount"]
    count = len(columns) + len(diff["pk_columns"])
    return {
        "distincts": both,
        "dupes": [0, 0],
        "nulls": [0, 0],
        # A sample is half of the rows.
        "compared": common // 2 if stats.get("sampled") else common,
        "columns": [
            {
                "column_name": name,
                "match": 100.0 if place else 100.0 * (stats["match_ratio"] or 0.0),
                "values_different": 0 if place else stats["diff_rows_count"] or 0,
            }
            for place, name in enumerate(columns)
        ],
        "schema": {
            "column_counts": [count, count],
            "column_reorders": 0,
            "column_type_differs": [],
            "column_type_mismatches": 0,
            "columns_mismatched": [0, 0],
            "exclusive_columns": [[], []],
        },
    }
