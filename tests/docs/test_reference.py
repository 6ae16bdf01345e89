"""The API reference has each class that a DAG imports, and its docstring explains each argument."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from tests.conftest import ROOT

REFERENCE = "".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.rst"))
FOUND = [
    (f"airflow_provider_datafold.{room}.{file.stem}", *each)
    for room in ("operators", "sensors")
    for file in (ROOT / "airflow_provider_datafold" / room).glob("*.py")
    for each in re.findall(r"^class (Datafold\w+)\((.*)\)", file.read_text(), re.MULTILINE)
]
BASES = {base for *_, bases in FOUND for base in bases.split(", ")}
CLASSES = [(module, name) for module, name, _ in FOUND if name not in BASES]


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_each_argument_is_explained(module: str, name: str) -> None:
    assert f"autoclass:: {module}.{name}\n" in REFERENCE
    shown = getattr(importlib.import_module(module), name)
    wanted = [
        argument
        for argument, each in inspect.signature(shown).parameters.items()
        if each.kind is each.KEYWORD_ONLY
    ]
    assert re.findall(r":param (\w+):", shown.__doc__ or "") == wanted


def test_the_readme_s_table_names_each_operator() -> None:
    readme = (ROOT / "README.md").read_text()
    for _, name in CLASSES:
        assert name in readme or f"...{name.removeprefix('DatafoldUpdate')}" in readme
