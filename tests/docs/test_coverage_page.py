"""docs/coverage.md matches the code and covers every operation of the API."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox import contract
from dev.sandbox.contract import Operation
from dev.scripts import api_coverage
from dev.scripts.api_coverage import name_of
from tests.conftest import ROOT

DELETE = Operation("DELETE", "/api/v1/lineage/bi/{bi_datasource_id}/")


def contracted() -> set[str]:
    return {name_of(operation) for operation in contract.operations(contract.load())}


def seen() -> set[str]:
    """What Datafold's SDK calls outside of the contract, as far as the package does, too."""
    found = {name_of(each) for each in api_coverage.declared() if each.seen_in}
    assert found <= {name_of(operation) for operation in contract.operations(contract.seen())}
    return found


def test_each_operation_of_the_contract_is_declared_once() -> None:
    declared = [name_of(each) for each in api_coverage.declared() if not each.seen_in]

    assert len(declared) == len(set(declared)) == 51
    assert set(declared) == contracted()
    assert len(seen()) == 3


def test_the_hook_has_a_method_for_each_operation() -> None:
    assert set(api_coverage.methods()) == contracted() | seen()


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


@pytest.fixture(scope="module")
def operators() -> dict[str, set[str]]:
    return api_coverage.operators()


def test_each_operation_has_an_operator_or_a_reason(operators: dict[str, set[str]]) -> None:
    documents = (contract.load(), contract.seen())
    reasons = {str(each): name_of(each) for one in documents for each in contract.operations(one)}

    assert set(api_coverage.REASONS) <= set(reasons)
    named = [reasons[operation] for operation in api_coverage.REASONS]
    assert sorted([*operators, *named]) == sorted(contracted() | seen())


def test_each_operator_and_sensor_calls_something(operators: dict[str, set[str]]) -> None:
    callers = set().union(*operators.values())

    assert callers == {operator.__name__ for operator in api_coverage.classes()}
    assert len(callers) == 20


def test_a_sensor_starts_and_cancels_nothing(operators: dict[str, set[str]]) -> None:
    for operation, names in operators.items():
        if not operation.startswith("GET "):
            assert not [name for name in names if name.endswith("Sensor")]


def test_a_reason_leads_to_a_heading() -> None:
    headings = re.findall("^## (.*)$", (ROOT / "docs" / "recipes.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}

    found = re.findall(r"\(recipes\.md#(.*?)\)", " ".join(api_coverage.REASONS.values()))

    assert len(found) == 2
    assert set(found) <= anchors


def test_the_page_is_what_the_code_gives(operators: dict[str, set[str]]) -> None:
    page = api_coverage.render(api_coverage.methods(), operators)

    assert api_coverage.PATH.read_text() == page, "make coverage-page"


def test_a_missing_method_is_noticed(
    operators: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: Any, bi_datasource_id: int) -> None:
        pass

    nothing.__module__ = DatafoldHook.delete_integration.__module__
    monkeypatch.setattr(DatafoldHook, "delete_integration", nothing)

    methods = api_coverage.methods()

    assert contracted() - set(methods) == {name_of(DELETE)}
    page = api_coverage.render(methods, operators)
    assert "**50 of 51 operations by the hook" in page
    assert f"| `{DELETE}` | - | is done once" in page
