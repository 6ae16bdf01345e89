"""docs/coverage.md is what the code gives, and no operation of the API is left out."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.sandbox import contract
from dev.sandbox.contract import Operation
from dev.scripts import api_coverage

DELETE = Operation("DELETE", "/api/v1/lineage/bi/{bi_datasource_id}/")


def test_the_hook_has_every_operation() -> None:
    methods = api_coverage.methods()

    assert list(methods) == list(contract.operations(contract.load(), contract.BI))
    assert [str(operation) for operation, names in methods.items() if not names] == []


def test_every_update_and_the_synchronization_have_an_operator() -> None:
    covered = {operation for operation, names in api_coverage.operators().items() if names}

    assert covered == {
        operation
        for operation in contract.operations(contract.load(), contract.BI)
        if operation.method == "PUT" or operation.path.endswith("/sync/")
    }


def test_the_page_is_what_the_code_gives() -> None:
    page = api_coverage.render(api_coverage.methods(), api_coverage.operators())

    assert api_coverage.PATH.read_text() == page, "make coverage-page"


def test_a_missing_method_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(DatafoldHook, "delete_integration")

    methods = api_coverage.methods()

    assert [operation for operation, names in methods.items() if not names] == [DELETE]
    page = api_coverage.render(methods, api_coverage.operators())
    total = len(methods)
    assert f"**{total - 1} of {total} operations by the hook" in page
    assert f"| `{DELETE}` | - | - |" in page


def test_a_request_that_the_contract_does_not_know_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def delete(self: Any, bi_datasource_id: int) -> Any:
        return self.run("DELETE", f"/api/v2/{bi_datasource_id}/")

    monkeypatch.setattr(DatafoldHook, "delete_integration", delete)

    with pytest.raises(ValueError, match="not enough values"):
        api_coverage.methods()
