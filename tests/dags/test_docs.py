"""The commands that add connections, in a shell, and BI snippets, which then run with these."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import pytest

from dev.sandbox.bi import integration
from tests import documents
from tests.conftest import ROOT
from tests.integrations import KINDS

pytestmark = pytest.mark.airflow

README = ROOT / "README.md"
OPERATORS = ROOT / "docs" / "operators.md"
CONNECTION = ROOT / "docs" / "connection.md"

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


KIND = {kind.operator.__name__: name for name, kind in KINDS.items()}


@pytest.mark.usefixtures("connected")
def test_the_snippets_run(run_tasks: Any, sandbox: Any) -> None:
    snippets = documents.blocks(OPERATORS, "python")
    headings = re.findall(r"^## (Datafold\w+)$", OPERATORS.read_text(), re.MULTILINE)
    numbers = [int(re.findall(r"bi_datasource_id=(\d+)", each)[0]) for each in snippets]
    for heading, number in zip(headings, numbers, strict=True):
        sandbox.state.integrations[number] = integration(number, KIND.get(heading, "hightouch"))

    assert run_tasks("\n".join(snippets)).state == "success"

    sent = {request.path: request.body for request in sandbox.state.requests if request.body}
    for heading, number, source in zip(headings, numbers, snippets, strict=True):
        assert f"\n{heading}(" in source
        if not (kind := KIND.get(heading)):
            continue
        body = json.loads(sent[f"/api/v1/lineage/bi/{kind}/{number}/"])
        cron = re.findall(r'indexing_cron=(?:None|"(.*)")', source)
        assert [body["indexing_cron"] or ""] == cron
    synced = [entry.bi_datasource_id for entry in sandbox.state.audit if entry.action == "sync"]
    assert synced == numbers[: len(headings) - len(KIND)]
