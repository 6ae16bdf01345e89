"""The section Data sources: the databases that Datafold reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dev.comparison.comparison import Comparison
from dev.comparison.question import Question, is_url
from dev.sandbox import contract, schema
from dev.sandbox.course import Course, Courses, Job, Step
from dev.sandbox.register import Register
from dev.sandbox.router import Later, Router
from dev.sandbox.validation import refusal

Source = dict[str, Any]

STEPS = ("connection", "temp_schema", "schema_download", "lineage_download")
"""The steps of a test, in this order."""
MOST_ROWS = 10_000
"""How many rows the response to a real query has at most."""
_ROWS = 3
_PATIENCE = 60.0
"""Seconds after which a query is stopped."""

router = Router()


def checked(failed: str | None = None, message: str = "Not possible") -> Course:
    """Return the course of a test that ends after two reads."""
    # As recorded in Datafold's own data-diff: a failed step is "done", and so is its test.
    results: list[dict[str, Any]] = []
    for step in STEPS:
        code, outcome, said = "OK", "success", ""
        if failed is not None and STEPS.index(step) >= STEPS.index(failed):
            code, outcome = ("ERROR", "failed") if step == failed else ("SKIP", "skipped")
            said = message if step == failed else ""
        result = {"code": code, "message": said, "outcome": outcome}
        results.append({"step": step, "status": "done", "result": result})
    return Course((Step("queued"), Step("processing")), "done", {"results": results})


class Comparisons(list[Comparison]):
    """What was asked about the databases behind data sources."""

    def start(self, question: Question) -> Comparison:
        self.append(Comparison(question))
        return self[-1]

    def ask(self, question: Question) -> dict[str, Any]:
        """Answer a question, while the caller waits."""
        asked = self.start(question)
        asked.thread.join(_PATIENCE)
        asked.stop("cancelled")
        if asked.answer is None:
            message = asked.error["error_value"] if asked.error else f"No answer in {_PATIENCE:g} s"
            raise refusal(message, "body")
        return asked.answer

    def close(self) -> None:
        for asked in self:
            asked.stop("cancelled")


class DataSources:
    def __init__(self) -> None:
        self.courses = Courses(checked())
        """The courses of the next tests."""
        self.sources: Register[Source] = Register("Data source")
        self.jobs: Register[Job] = Register("Test")
        self.comparisons = Comparisons()
        """What runs in the databases."""
        self.answers: dict[str, dict[str, Any]] = {}
        """The responses to queries, by their SQL. Without a database, all other queries get
        rows of numbers."""
        self._addresses: dict[int, str] = {}
        warehouse = {"host": "warehouse.example.com", "user": "datafold", "dbname": "warehouse"}
        self.add({"type": "pg", "name": "Warehouse", "options": {"port": 5432, **warehouse}})
        lake = {"account": "lake", "user": "DATAFOLD", "default_db": "DB"}
        self.add({"type": "snowflake", "name": "Lake", "options": lake})

    def add(self, body: Source) -> Source:
        number = self.sources.number()
        node = {"$ref": _mapping()[body["type"]]}
        visible = schema.without_secrets(body)
        self.sources[number] = schema.completed(node, visible) | {"id": number}
        return self.sources[number]

    def test(self, number: int) -> int:
        self.sources.require(number)
        job = self.jobs.number()
        self.jobs[job] = self.courses.start()
        return job

    def connect(self, number: int, address: str | Path) -> None:
        """Put a database behind a data source, so that its data diffs and monitors really run."""
        self.sources.require(number)
        is_path = isinstance(address, Path) or not is_url(address)
        self._addresses[number] = str(Path(address).absolute()) if is_path else str(address)

    def address(self, number: int | None) -> str | None:
        """Return the database behind a data source, ``None`` if there is none."""
        return None if number is None else self._addresses.get(number)

    def addresses(self, body: dict[str, Any]) -> dict[str, str]:
        """Return the databases that a data diff compares, empty if neither side has one."""
        found, missing = {}, []
        for place in (1, 2):
            field = f"data_source{place}_id"
            self.sources.require(body[field])
            if address := self.address(body[field]):
                found[f"address{place}"] = address
            else:
                missing.append(field)
        if len(missing) == 1:
            message = (
                "The sandbox has no database behind this data source, but one behind the other"
            )
            raise refusal(message, "body", missing[0])
        return found


def _mapping() -> dict[str, str]:
    """Return the references to the schemas of the data source types."""
    form = contract.document()["components"]["schemas"]["ApiDataSourceForm"]
    return dict(form["discriminator"]["mapping"])


@router.handles("GET", "/api/v1/data_sources")
def list_all(data_sources: DataSources) -> Any:
    return list(data_sources.sources.values())


@router.handles("POST", "/api/v1/data_sources")
def create(data_sources: DataSources, body: Source) -> Any:
    return data_sources.add(body)


@router.handles("GET", "/api/v1/data_sources/types")
def list_types() -> Any:
    options: Source = {"required": [], "properties": {}, "secret": []}
    more = {"features": ["datadiff"], "configuration_schema": options}
    return [{"type": name, "name": name, **more} for name in _mapping()]


@router.handles("GET", "/api/v1/data_sources/{data_source_id}")
def show(data_sources: DataSources, data_source_id: int) -> Any:
    return data_sources.sources[data_source_id]


@router.handles("GET", "/api/v1/data_sources/{data_source_id}/summary")
def show_summary(data_sources: DataSources, data_source_id: int) -> Any:
    source = data_sources.sources[data_source_id]
    return {name: source[name] for name in ("id", "name", "type")}


@router.handles("POST", "/api/v1/data_sources/{data_source_id}/test")
def test(data_sources: DataSources, data_source_id: int) -> Any:
    return {"job_id": data_sources.test(data_source_id)}


@router.handles("GET", "/api/v1/data_sources/test/{job_id}")
def show_test(data_sources: DataSources, job_id: int) -> Any:
    """Show a test. This moves it on by a step."""
    job = data_sources.jobs[job_id]
    return {"id": job_id, "status": job.read(), "results": job.outcome.get("results", [])}


@router.handles("POST", "/api/v1/data_sources/{data_source_id}/query")
def query(
    data_sources: DataSources, data_source_id: int, body: dict[str, Any], stream: bool
) -> Any:
    """Run a query if there is a database, otherwise respond with numbers in its columns."""
    data_sources.sources.require(data_source_id)
    text = body["query"].strip()
    if text in data_sources.answers:
        return data_sources.answers[text]
    if address := data_sources.address(data_source_id):
        if body.get("params"):
            message = "The sandbox does not support parameters of real queries"
            raise refusal(message, "body", "params")
        question = {"address1": address, "query1": text, "limit": MOST_ROWS}
        return Later(lambda: data_sources.comparisons.ask(question))
    names = _columns(text)
    columns = [
        {"name": name, "number": place, "type": "integer"} for place, name in enumerate(names)
    ]
    return {"columns": columns, "rows": [dict.fromkeys(names, row) for row in range(1, _ROWS + 1)]}


def _columns(text: str) -> list[str]:
    """Return the last word of each column expression in a query."""
    selected = re.match(r"select\s+(.+?)(\s+from\b.*|\s*;?\s*)$", text, re.IGNORECASE | re.DOTALL)
    if selected is None:
        return []
    words = [re.findall(r"\w+", part) for part in selected[1].split(",")]
    return [found[-1] for found in words if found]
