"""docs/coverage.md is what the code gives, and no operation of the API is left out."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox import contract
from dev.sandbox.contract import Operation
from dev.scripts import api_coverage
from dev.scripts.api_coverage import name_of

DELETE = Operation("DELETE", "/api/v1/lineage/bi/{bi_datasource_id}/")


def contracted() -> set[str]:
    return {name_of(operation) for operation in contract.operations(contract.load())}


def test_each_operation_of_the_contract_is_declared_once() -> None:
    declared = [name_of(operation) for operation in api_coverage.declared()]

    assert len(declared) == len(set(declared)) == 51
    assert set(declared) == contracted()


def test_the_hook_has_a_method_for_each_operation() -> None:
    assert set(api_coverage.methods()) == contracted()


def test_a_method_calls_one_operation_for_each_kind_that_it_takes() -> None:
    calls: dict[str, int] = {}
    for names in api_coverage.methods().values():
        for name in names:
            calls[name] = calls.get(name, 0) + 1

    assert {name: count for name, count in calls.items() if count > 1} == {
        "create_integration": 6,
        "update_integration": 6,
        "create_monitor": 4,
    }


def test_every_update_of_bi_and_the_synchronization_have_an_operator() -> None:
    assert set(api_coverage.operators()) == {
        name
        for name in contracted()
        if name.startswith("PUT /api/v1/lineage/bi/") or name.endswith("/sync/")
    }


def test_the_page_is_what_the_code_gives() -> None:
    page = api_coverage.render(api_coverage.methods(), api_coverage.operators())

    assert api_coverage.PATH.read_text() == page, "make coverage-page"


def test_a_missing_method_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(self: Any, bi_datasource_id: int) -> None:
        pass

    nothing.__module__ = DatafoldHook.delete_integration.__module__
    monkeypatch.setattr(DatafoldHook, "delete_integration", nothing)

    methods = api_coverage.methods()

    assert contracted() - set(methods) == {name_of(DELETE)}
    page = api_coverage.render(methods, api_coverage.operators())
    assert "**50 of 51 operations by the hook" in page
    assert f"| `{DELETE}` | - | - |" in page


def test_an_operation_that_the_contract_gains_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    document = contract.load()
    path = document["paths"]["/api/v1/monitors/{id}"]
    document["paths"]["/api/v1/monitors/{id}/snooze"] = {"put": path["get"]}
    monkeypatch.setattr(contract, "load", lambda: document)

    assert contracted() - set(api_coverage.methods()) == {"PUT /api/v1/monitors/{id}/snooze"}
    page = api_coverage.render(api_coverage.methods(), api_coverage.operators())
    assert "**51 of 52 operations by the hook" in page
