"""The snippets of the pages about gates and jobs, run as users would: in a real Airflow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dev.sandbox.course import Course, Job, Step
from dev.sandbox.data_diffs import DIFFERENT, IDENTICAL, done
from dev.sandbox.moment import now
from tests import documents
from tests.conftest import HOME, ROOT, shows_error
from tests.dags.runs import execute

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("connections")]

README, FIRST, RECIPES = (
    ROOT / name for name in ("README.md", "docs/first_gate.md", "docs/recipes.md")
)
# Where it is in Airflow 2.11, too.
SDK = {"from airflow.sdk": "from airflow.providers.common.compat.sdk"}


def edited(source: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert source.count(old) == 1
        source = source.replace(old, new)
    return source


START, LOOK = "POST /api/v1/datadiffs", "GET /api/v1/datadiffs/3"
JUDGE = [LOOK, f"{LOOK}/summary_results"]
GATES = (
    [START, *JUDGE],
    [START, *JUDGE],
    ["GET /api/v1/datadiffs", START, LOOK, LOOK, *JUDGE],
)
"""What the snippets of the pages on gates send."""
GATE_SNIPPETS = [
    block
    for name in ("data_diffs", "gate_verdicts")
    for block in documents.blocks(ROOT / "docs" / f"{name}.md", "python")
]


@pytest.mark.parametrize(("snippet", "sent"), list(zip(GATE_SNIPPETS, GATES, strict=True)))
def test_a_snippet_of_a_gate_runs(
    snippet: str, sent: list[str], run_tasks: Any, sandbox: Any
) -> None:
    # It has ended at the first poll. No task would defer for that.
    way = (Step("waiting"),) if "deferrable=True" in snippet else ()
    sandbox.state.data_diffs.courses.default = Course(way, "done", IDENTICAL.outcome)

    run = run_tasks(snippet, {"datadiff_id": 1})

    assert run.state == "success"
    requests = sandbox.state.requests
    assert [f"{request.method} {request.path}" for request in requests] == sent
    (gate,) = (name for name in run.states if name in ("gate", "SHOP.ORDERS"))
    assert run.xcom(gate)["result"] == "identical"


FILE = """
monitors:
  orders:
    type: test
    connection_id: 1
    query: SELECT 1
    schedule: {type: none}
"""


@pytest.fixture
def monitors() -> Any:
    """A file next to the DAG's file."""
    file = HOME / "dags" / "monitors" / "orders.yaml"
    file.parent.mkdir()
    file.write_text(FILE)
    yield file
    file.unlink()
    file.parent.rmdir()


@pytest.mark.usefixtures("monitors")
@pytest.mark.parametrize("page", ["monitors", "ci"])
def test_the_snippets_about_jobs_run(page: str, run_tasks: Any, sandbox: Any) -> None:
    git = {"pr_sha": "a" * 40, "base_sha": "b" * 40, "pr_branch": "feature"}
    params = {"run_id": 1, "pr_number": 12, **git}
    for snippet in documents.blocks(ROOT / "docs" / f"{page}.md", "python"):
        state = sandbox.state
        state.reset()
        # For the upload, a run that has not ended before the first look.
        state.ci.courses.default = Course((Step("processing"),), "done")
        state.ci.add(2, {"pr_number": 12, "pr_sha": "a" * 40})
        state.monitors.jobs[1] = Job(Course((), "ok"))
        state.monitors.runs[1] = {"run_id": 1, "monitor_id": 4, "started_at": now()}
        state.monitors.monitors[4]["tags"] = ["airflow-set:orders/ids"]
        run = run_tasks(re.sub(r"retries=\d+", "retries=0", snippet), params)
        assert run.state == "success", snippet
        assert state.requests


def test_the_hook_s_snippet_runs(sandbox: Any) -> None:
    # tests/dev/test_wheel.py runs the first DAG beside nothing but the wheel.
    (source,) = (block for block in documents.blocks(README, "python") if "with DAG(" not in block)
    names: dict[str, Any] = {}

    exec(source, names)

    assert [(request.method, request.path) for request in sandbox.state.requests] == [
        ("GET", "/api/v1/lineage/bi/7/"),
        ("GET", "/api/v1/lineage/bi/"),
    ]
    assert names["integration"] == sandbox.state.integrations[7]


@pytest.mark.parametrize(("rows", "is_published"), [(1000, True), (1001, False)])
def test_the_readme_s_gate_publishes_what_it_should(
    rows: int, is_published: bool, run_file: Any, sandbox: Any, warehouse: Path
) -> None:
    (source,) = documents.blocks_in(documents.section(README, "First gate"), "python")
    assert len(source.splitlines()) <= 20
    changes = {
        **SDK,
        "2024, 1, 1)):": "2024, 1, 1)) as dag:",
        # SQL that SQLite understands.
        "ALTER TABLE DB.PUBLIC.ORDERS SWAP WITH DB.STAGING.ORDERS": "CREATE TABLE swapped (id)",
    }
    course = done("different", rows_added=rows, rows_removed=0, diff_rows_count=0)
    sandbox.state.data_diffs.courses.default = course

    run = run_file(edited(source, changes), "publish_orders")

    assert run.states == {
        "gate": "success" if is_published else "failed",
        "publish": "success" if is_published else "upstream_failed",
    }
    assert execute(warehouse, "SELECT count(*) FROM sqlite_master") == [(int(is_published),)]


def test_the_first_gate_fails_with_what_the_page_shows_and_then_passes(
    run_file: Any, warehouse: Path, sandbox: Any, printed: Any
) -> None:
    listing, source = documents.blocks(FIRST, "python")
    source = edited(source, SDK)
    (failure,) = documents.blocks(FIRST, "text")
    sandbox.state.data_sources.connect(1, warehouse)
    execute(warehouse, "CREATE TABLE payments (id INTEGER PRIMARY KEY, amount REAL)")
    for number in range(1, 101):
        execute(warehouse, f"INSERT INTO payments VALUES ({number}, {number})")
    execute(warehouse, "CREATE TABLE payments_staging AS SELECT * FROM payments")
    execute(warehouse, "UPDATE payments_staging SET amount = 0 WHERE id <= 37")
    execute(warehouse, "DELETE FROM payments_staging WHERE id = 100")

    exec(listing, {})
    assert "1 Warehouse" in printed()

    assert run_file(source, "first_gate").state == "failed"
    error, _, text = " ".join(failure.split()).partition(": ")
    assert shows_error(printed(), error, text.replace("https://app.datafold.com", sandbox.url))

    execute(warehouse, "DROP TABLE payments_staging")
    execute(warehouse, "CREATE TABLE payments_staging AS SELECT * FROM payments")
    assert run_file(source, "first_gate").state == "success"


class Mail:
    """Notes what would be sent."""

    def __init__(self, sent: list[Any]) -> None:
        self.sent = sent

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def send_email_smtp(self, **message: Any) -> None:
        self.sent.append((message["subject"], message["html_content"]))


def test_a_gate_that_differs_tells_slack_and_mail(
    run_tasks: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack = pytest.importorskip("airflow.providers.slack.notifications.slack")
    smtp = pytest.importorskip("airflow.providers.smtp.notifications.smtp")
    sent: list[Any] = []
    monkeypatch.setattr(
        slack.SlackHook, "call", lambda _, __, json, **___: sent.append(json["text"])
    )
    monkeypatch.setattr(smtp.SmtpNotifier, "hook", Mail(sent))
    sandbox.state.data_diffs.courses.default = DIFFERENT
    (snippet,) = documents.blocks_in(documents.section(RECIPES, "Slack and mail"), "python")
    run_tasks(snippet)
    reason = "rows added 3, rows removed 2, rows different 5, match ratio 0.95"
    text, mail = sent
    assert text.startswith(f"`SHOP.ORDERS` differs: {reason}. ")
    assert mail == ("gate did not pass", reason)
