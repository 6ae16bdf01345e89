"""The docstrings, which the API reference shows, explain each argument of what a DAG imports."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import pytest

from tests.conftest import ROOT

REFERENCE = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.rst"))
SHOWN = [
    name
    for name in re.findall(r"autoclass:: ([\w.]+)", REFERENCE)
    if "operators" in name or "sensors" in name
]
SHOWN = [name for name in SHOWN if not name.endswith(".base.DatafoldOperator")]


def named(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", SHOWN)
def test_each_argument_is_explained(path: str) -> None:
    shown = named(path)
    wanted = [
        name
        for name, each in inspect.signature(shown).parameters.items()
        if each.kind is each.KEYWORD_ONLY
    ]
    assert re.findall(r":param (\w+):", shown.__doc__ or "") == wanted


def test_the_readme_s_table_names_each_operator() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in SHOWN:
        name = path.rpartition(".")[2]
        assert name in readme or f"...{name.removeprefix('DatafoldUpdate')}" in readme
