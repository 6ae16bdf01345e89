"""The pages' own snippets, run as users would: tasks in a real Airflow, commands in a shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
from typing import Any

import pytest

from dev.sandbox.bi import integration
from dev.sandbox.course import Course, Step
from dev.sandbox.data_diffs import done
from tests import documents
from tests.conftest import ROOT
from tests.integrations import KINDS

pytestmark = pytest.mark.airflow

README = ROOT / "README.md"
OPERATORS = ROOT / "docs" / "operators.md"
CONNECTION = ROOT / "docs" / "connection.md"
GATE_PAGES = [ROOT / "docs" / f"{name}.md" for name in ("data_diffs", "gate_verdicts")]

DAG_FILE = """
from datetime import datetime

from airflow.providers.common.compat.sdk import DAG

with DAG(
    "{heading}",
    schedule=None,
    start_date=datetime(2024, 1, 1),
    default_args={{"retries": 0}},
    params={{"datadiff_id": 1}},
) as dag:
{snippet}
"""

HEADINGS = re.findall(r"^## (Datafold\w+)$", OPERATORS.read_text(), re.MULTILINE)
KIND = {f"datafoldupdate{kind}operator": kind for kind in KINDS}
"""By the operators' names in small letters."""

SECRETS = {
    "HIGHTOUCH_API_TOKEN": "planted-1",
    "LOOKER_CLIENT_ID": "client-2",
    "LOOKER_CLIENT_SECRET": "planted-2",
    "MODE_PASSWORD": "planted-3",
    "MODE_TOKEN": "planted-4",
    "TABLEAU_TOKEN_NAME": "name-5",
    "TABLEAU_TOKEN_VALUE": "planted-5",
    "POWERBI_CLIENT_ID": "client-6",
    "POWERBI_CLIENT_SECRET": "planted-6",
    "POWERBI_TENANT_ID": "tenant-6",
    "DATAFOLD_API_KEY": "planted-7",
}
FROM_CONNECTION = {
    "hightouch": {"token": "planted-1"},
    "looker": {
        "base_url": "https://looker.example.com:19999",
        "client_id": "client-2",
        "client_secret": "planted-2",
    },
    "mode": {"token": "planted-4", "password": "planted-3"},
    "tableau": {
        "server_url": "https://tableau.example.com",
        "site_id": "sales",
        "token_name": "name-5",
        "token_value": "planted-5",
    },
    "powerbi": {"tenant_id": "tenant-6", "client_id": "client-6", "client_secret": "planted-6"},
}
"""What the commands of docs/connection.md put into the connections."""


@pytest.fixture(scope="module")
def added(airflow_database: None) -> dict[str, Any]:
    """Run every `airflow connections add`, and return the connections."""
    from airflow.cli.cli_parser import get_parser
    from airflow.models import Connection
    from airflow.utils.session import create_session

    # Once, though README and docs/connection.md both have the command for Hightouch.
    commands = dict.fromkeys(
        command
        for page in (README, CONNECTION)
        for block in documents.blocks(page, "bash")
        for command in re.findall(r"^airflow connections add (?:.*\\\n)*.*\n", block, re.MULTILINE)
    )
    # The shell reads the commands, and Airflow's parser what it makes of them: seven times the
    # whole program would take half a minute.
    airflow = "airflow() { printf '%s\\0' \"$@\"; printf '\\36'; }\n"
    done = subprocess.run(
        ["bash", "-euc", airflow + "".join(commands)],
        env={**os.environ, **SECRETS},
        check=True,
        capture_output=True,
        text=True,
    )
    for command in done.stdout.split("\36")[:-1]:
        arguments = get_parser().parse_args(command.split("\0")[:-1])
        arguments.func(arguments)
    fields = ("conn_type", "host", "login", "password", "schema", "port", "extra")
    with create_session() as session:
        found = {
            connection.conn_id: {name: getattr(connection, name) for name in fields}
            for connection in session.query(Connection)
        }
        session.query(Connection).delete()
    return found


@pytest.fixture
def connected(added: dict[str, Any], connections: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connections that the commands made, except that datafold_default leads to the sandbox."""
    for conn_id, connection in added.items():
        if conn_id != "datafold_default":
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


def test_commands_add_the_connections(added: dict[str, Any]) -> None:
    assert set(added) == {"datafold_default", *(f"{kind}_default" for kind in FROM_CONNECTION)}
    assert added["datafold_default"]["conn_type"] == "datafold"
    assert added["datafold_default"]["password"] == "planted-7"


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("kind", FROM_CONNECTION)
def test_a_connection_holds_what_the_kind_wants(kind: str, sandbox: Any) -> None:
    arguments = {"bi_datasource_id": 7, "indexing_cron": None, **KINDS[kind].arguments}
    sandbox.state.integrations[7] = integration(7, kind)
    KINDS[kind].operator(task_id="t", **arguments).execute({})
    body = json.loads(sandbox.state.requests[-1].body)
    others = {*arguments, "bindings"}
    assert {name: body[name] for name in body if name not in others} == FROM_CONNECTION[kind]


def snippet(heading: str) -> str:
    (found,) = documents.blocks_in(documents.section(OPERATORS, heading), "python")
    return found


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("heading", HEADINGS)
def test_operator_s_snippet_runs(heading: str, run_dag: Any, sandbox: Any) -> None:
    source = snippet(heading)
    assert f"\n{heading}(" in source
    (number,) = (int(text) for text in re.findall(r"bi_datasource_id=(\d+)", source))
    kind = KIND.get(heading.lower())
    sandbox.state.integrations[number] = integration(number, kind or "hightouch")

    # A separate DAG for each: Airflow 3.1 does not notice changed tasks at once.
    file = DAG_FILE.format(heading=heading, snippet=textwrap.indent(source, "    "))
    run = run_dag(file, heading)

    assert run.state == "success"
    (entry,) = sandbox.state.audit
    assert (entry.action, entry.bi_datasource_id) == ("update" if kind else "sync", number)
    if kind:
        request = sandbox.state.requests[-1]
        assert (request.method, request.path) == ("PUT", f"/api/v1/lineage/bi/{kind}/{number}/")
        body = json.loads(request.body)
        assert (
            body.items()
            >= {
                name: value
                for name, value in FROM_CONNECTION.get(kind, {}).items()
                if f"{name}=" not in source
            }.items()
        )
        assert sandbox.state.integrations[number]["indexing_cron"] == body["indexing_cron"]
        cron = re.findall(r'indexing_cron=(?:None|"(.*)")', source)
        assert [body["indexing_cron"] or ""] == cron


def test_every_snippet_is_run() -> None:
    assert [snippet(heading) for heading in HEADINGS] == documents.blocks(OPERATORS, "python")


START, LOOK = "POST /api/v1/datadiffs", "GET /api/v1/datadiffs/3"
JUDGE = [LOOK, f"{LOOK}/summary_results"]
GATES = {
    "Arguments": [START, *JUDGE],
    "The sensor": [START, *JUDGE],
    "One summary": ["GET /api/v1/datadiffs", START, LOOK, LOOK, *JUDGE],
}
"""What the snippets of the pages on gates send, by their headings."""


def gate(heading: str) -> str:
    text = "".join(page.read_text() for page in GATE_PAGES)
    _, _, rest = text.partition(f"# {heading}\n")
    (found, *_) = documents.blocks_in(rest, "python")
    return found


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("heading", GATES)
def test_gate_s_snippet_runs(heading: str, run_dag: Any, sandbox: Any) -> None:
    # It has ended at the first poll. No task would defer for that.
    way = (Step("waiting"),) if "deferrable=True" in gate(heading) else ()
    end = done("identical")
    sandbox.state.data_diffs.courses.default = Course(way, "done", end.outcome)
    name = heading.replace(" ", "_")

    source = textwrap.indent(gate(heading), "    ")
    run = run_dag(DAG_FILE.format(heading=name, snippet=source), name)

    assert run.state == "success"
    sent = [f"{request.method} {request.path}" for request in sandbox.state.requests]
    assert sent == GATES[heading]
    (judged,) = (task for task in run.get_task_instances() if task.task_id == "gate")
    returned = judged.xcom_pull("gate", map_indexes=judged.map_index)
    assert returned["result"] == "identical"


def test_every_gate_s_snippet_is_run() -> None:
    assert [gate(heading) for heading in GATES] == [
        block for page in GATE_PAGES for block in documents.blocks(page, "python")
    ]


@pytest.mark.usefixtures("connections")
def test_readme_s_hook_snippet_runs(sandbox: Any) -> None:
    # The other one, the first DAG, runs in tests/dev/test_wheel.py, beside nothing but the wheel.
    (source,) = (block for block in documents.blocks(README, "python") if "with DAG(" not in block)

    names: dict[str, Any] = {}
    exec(source, names)

    assert [(request.method, request.path) for request in sandbox.state.requests] == [
        ("GET", "/api/v1/lineage/bi/7/"),
        ("GET", "/api/v1/lineage/bi/"),
    ]
    assert names["integration"] == sandbox.state.integrations[7]
