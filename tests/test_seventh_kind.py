"""What CONTRIBUTING.md says of a seventh kind is true: its blocks are all that it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import copy
from typing import Any

import pytest

from airflow_provider_datafold import kinds
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators import bi
from dev.sandbox import Sandbox, contract
from dev.sandbox import bi as section
from tests import documents
from tests.conftest import API_KEY, ROOT

KIND, OPERATOR = documents.blocks(ROOT / "CONTRIBUTING.md", "python")
TOKEN = "planted-metabase-token-3a6b"
TEXT = {"anyOf": [{"type": "string"}, {"type": "null"}]}
SCHEMA = {
    "type": "object",
    "required": ["site_url", "token"],
    "properties": {
        "site_url": {"type": "string"},
        "token": {"type": "string", "format": "password", "writeOnly": True},
        "group_ids": {"type": "array", "items": {"type": "string"}, "default": []},
        "indexing_cron": TEXT,
        "name": TEXT,
    },
}
BODY = {"required": True, "content": {"application/json": {"schema": SCHEMA}}}
CONFIG = {"site_url": "https://metabase.example.com", "token": TOKEN}


def added(source: str, module: Any, name: str) -> Any:
    """Run a block as if it stood at a module's end."""
    names = dict(vars(module))
    exec(source, names)
    return names[name]


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(kinds.KINDS, "metabase", eval(KIND, dict(vars(kinds))))
    return added(OPERATOR, bi, "DatafoldUpdateMetabaseOperator")


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, connect: Any) -> Iterator[Sandbox]:
    """A sandbox that knows the kind as well, and has one integration of it."""
    paths = contract.document()["paths"]
    path = f"{contract.BI}metabase/"
    parameters = paths[f"{contract.BI}dbt/{{bi_datasource_id}}/"]["put"]["parameters"]
    update = {"put": {"parameters": parameters, "requestBody": BODY}}
    monkeypatch.setitem(paths, path, {"post": {"requestBody": BODY}})
    monkeypatch.setitem(paths, f"{path}{{bi_datasource_id}}/", update)
    monkeypatch.setitem(section._CONFIGS, "metabase", {"site_url": "https://metabase.example.com"})
    monkeypatch.setattr(section, "router", copy(section.router))
    section.serve("metabase")
    with Sandbox(api_key=API_KEY) as running:
        connect("datafold_default", host=running.url, password=API_KEY)
        connect("metabase_default", host="metabase.example.com", password=TOKEN)
        yield running


def test_operator_updates_what_the_hook_created(operator: Any, sandbox: Sandbox) -> None:
    with DatafoldHook() as hook:
        created = hook.create_integration("metabase", {**CONFIG, "indexing_cron": None})
    returned = operator(
        task_id="t", bi_datasource_id=created["id"], group_ids="['a']", indexing_cron="0 6 * * *"
    ).execute({})

    create, update = sandbox.state.requests
    assert (create.method, create.path) == ("POST", "/api/v1/lineage/bi/metabase/")
    assert json.loads(create.body) == {**CONFIG, "indexing_cron": None}
    path = f"/api/v1/lineage/bi/metabase/{created['id']}/"
    assert (update.method, update.path, update.status) == ("PUT", path, 200)
    assert json.loads(update.body) == {
        **CONFIG,
        "group_ids": ["a"],
        "indexing_cron": "0 6 * * *",
    }
    assert returned == sandbox.state.integrations[created["id"]]


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"token": TOKEN}, "site_url: is missing; a Metabase integration has to have it"),
        (
            {**CONFIG, "colour": "red"},
            "config: has 'colour', but the fields of a Metabase integration are ",
        ),
        ({**CONFIG, "group_ids": "a"}, "group_ids: is 'a'"),
    ],
)
def test_hook_checks_it(config: dict[str, Any], message: str, sandbox: Sandbox) -> None:
    with DatafoldHook() as hook, pytest.raises(DatafoldInputError, match=message):
        hook.create_integration("metabase", config)
    assert sandbox.state.requests == []


def test_without_its_description_it_is_refused(sandbox: Sandbox) -> None:
    with DatafoldHook() as hook, pytest.raises(DatafoldInputError, match="kind: is 'metabase'"):
        hook.create_integration("metabase", CONFIG)
    assert sandbox.state.requests == []
