"""BI lineage: the package takes what the contract does, and the tests know it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox import contract, schema
from dev.sandbox.contract import Operation
from tests.integrations import KINDS

CONTRACT = contract.load()
OPERATIONS = list(contract.operations(CONTRACT, contract.BI))


def config_of(kind: str) -> dict[str, Any]:
    """The contract's schema for a kind's configuration, the same in its two operations."""
    path = f"/api/v1/lineage/bi/{kind}/"
    found = contract.config(CONTRACT, Operation("POST", path))
    assert found is not None
    assert found == contract.config(CONTRACT, Operation("PUT", path + "{bi_datasource_id}/"))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_know_what_the_contract_does(kind: str) -> None:
    fields = config_of(kind)["properties"]
    assert set(KINDS[kind].fields) == set(fields)
    assert set(KINDS[kind].required) == set(config_of(kind).get("required", ()))
    assert KINDS[kind].secrets == {
        name for name, node in fields.items() if schema.is_secret(CONTRACT, node)
    }
    assert KINDS[kind].nullable == {name for name, node in fields.items() if is_nullable(node)}


def is_nullable(node: dict[str, Any]) -> bool:
    return {"type": "null"} in node.get("anyOf", ())


def is_taken(kind: str, config: dict[str, Any]) -> bool:
    with DatafoldHook() as hook:
        try:
            hook.create_integration(kind, config)
        except DatafoldInputError:
            return False
    return True


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind in KINDS for field in config_of(kind)["properties"]]
)
def test_the_package_takes_what_the_contract_does(kind: str, field: str, sandbox: Any) -> None:
    full = KINDS[kind].fields
    config = config_of(kind)
    required = config.get("required", ())
    assert is_taken(kind, without(full, field)) is (field not in required)
    assert is_taken(kind, {**full, field: None}) is is_nullable(config["properties"][field])
    assert not is_taken(kind, {**full, "colour": "red"})


def test_the_package_knows_the_contract_s_kinds(connections: None) -> None:
    created = [
        operation.path.split("/")[-2] for operation in OPERATIONS if operation.method == "POST"
    ]
    assert set(KINDS) == set(created)
    with DatafoldHook() as hook, pytest.raises(DatafoldInputError) as caught:
        hook.create_integration("another", {})
    assert set(re.findall(r"'(\w+)'", str(caught.value))) == {"another", *created}


def without(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}
