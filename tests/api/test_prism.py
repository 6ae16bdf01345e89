"""Each operation through Prism, a validating proxy: it judges what the hook and the sandbox say.

``make test-contract`` installs Prism, and says where it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_datafold.exceptions import DatafoldServerError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.judges.reading import written_out
from dev.local_airflow.ports import free_port, listens
from dev.sandbox import schema
from tests import bodies
from tests.calls import (
    MONITOR_KINDS,
    ROWS,
    SOURCES,
    WITH_BODY,
    Row,
    declared,
    named,
    prepare,
    values_in,
)
from tests.conftest import API_KEY

pytestmark = pytest.mark.contract

# Prism does not forward the body of a GET.
BODIES = [row for row in WITH_BODY if row.asked.method != "GET"]


def without_demands_on_secrets(node: Any) -> Any:
    """Let write-only fields be missing: Prism wants those of a choice in responses, too."""
    if isinstance(node, list):
        return [without_demands_on_secrets(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {name: without_demands_on_secrets(each) for name, each in node.items()}
    if isinstance(node.get("required"), list):
        fields = node.get("properties", {})
        found["required"] = [
            name for name in node["required"] if not schema.is_secret(bodies.CONTRACT, fields[name])
        ]
    return found


@pytest.fixture(scope="module")
def prism(running_sandbox: Any, tmp_path_factory: Any) -> Iterator[str]:
    """The address of a Prism in front of the sandbox, which refuses what breaks the contract."""
    folder: Path = tmp_path_factory.mktemp("prism")
    document = folder / "contract.json"
    document.write_text(json.dumps(without_demands_on_secrets(written_out())))
    port = free_port()
    command = [os.environ["PRISM"], "proxy", "--errors", "--port", str(port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, document, running_sandbox.url], stdout=log)
    try:
        while not listens(port):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def hook(prism: str, connect: Any, sandbox: Any) -> Iterator[DatafoldHook]:
    prepare(sandbox.state)
    connect("datafold_default", host=prism, password=API_KEY, extra='{"max_retries": 0}')
    with DatafoldHook() as made:
        yield made


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_an_operation(row: Row, hook: DatafoldHook, sandbox: Any) -> None:
    if row in BODIES or row.body is None:
        row.call(hook, **row.query)
    else:
        getattr(hook, row.method)(*row.args)

    (request,) = sandbox.state.requests
    assert request.status == 200


@pytest.mark.parametrize("row", BODIES, ids=named)
def test_every_body(row: Row, hook: DatafoldHook, sandbox: Any) -> None:
    made = [*bodies.minimal(row.asked), *bodies.full(row.asked), *bodies.null(row.asked)]
    for body in made:
        sandbox.state.reset()
        prepare(sandbox.state)
        values = values_in(row)
        if row.method == "update_monitor":
            values["monitor_id"] = 1 + MONITOR_KINDS.index(body["type"])
        hook.call(declared(row), body, **values)
        assert [request.status for request in sandbox.state.requests] == [200], body


@pytest.mark.parametrize("body", [{}, {"query": 1}, {"query": "select 1", "colour": "red"}])
def test_a_wrong_request_would_be_found(body: Any, prism: str, sandbox: Any) -> None:
    headers = {"Authorization": f"Key {API_KEY}"}
    answer = requests.post(f"{prism}{SOURCES}/1/query", json=body, headers=headers)

    assert answer.status_code == 422
    assert sandbox.state.requests == []


@pytest.mark.parametrize("wrong", [{}, {"rows": 3}, {"rows": [], "columns": [], "colour": "red"}])
def test_a_wrong_response_would_be_found(wrong: Any, hook: DatafoldHook, sandbox: Any) -> None:
    sandbox.state.data_sources.answers["select 1"] = wrong

    with pytest.raises(DatafoldServerError):
        hook.query_data_source(1, "select 1")

    (request,) = sandbox.state.requests
    assert request.status == 200
