"""docs/inputs.md: its snippets run, and it names what must be given."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import pytest

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from airflow_provider_datafold.operators import bi, ci, data_diffs, data_sources, monitors
from tests import documents
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "inputs.md"
ROWS = documents.rows(PAGE.read_text())
SNIPPETS = [snippet.strip("`") for *_, snippet in ROWS if "hook." in snippet]
IDS = {
    name
    for module in (bi, ci, data_diffs, data_sources, monitors)
    for operator in vars(module).values()
    if inspect.isclass(operator) and operator.__module__ == module.__name__
    for name in inspect.signature(operator).parameters
    if re.fullmatch(r"(bi_datasource|data_source\d?|monitor|ci_config)_id", name)
}


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_runs(snippet: str, sandbox: Any) -> None:
    with DatafoldHook() as hook:
        found = eval(compile(ast.parse(snippet, mode="eval"), str(PAGE), "eval"), {"hook": hook})
    assert found is not None


def test_each_id_that_an_operator_takes_is_explained() -> None:
    assert len(IDS) == 6
    assert {name for name in IDS if not any(f"`{name}`" in row[0] for row in ROWS)} == set()
