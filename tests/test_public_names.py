"""The names that users depend on are those of tests/public_names.txt, on each Airflow."""

from __future__ import annotations

import importlib
import re

import airflow
import pytest

from airflow_provider_datafold.retry_policy import DEFAULT_RETRY_POLICY
from dev.scripts import public_names
from tests.conftest import ROOT

AIRFLOW = tuple(int(part) for part in airflow.__version__.split(".")[:2])
KEPT = public_names.PATH.read_text()
CLASSES = sorted(set(re.findall(r"^([a-z_.]+)\.(Datafold\w+)", KEPT, re.MULTILINE)))
NEEDS_AIRFLOW = {"retry_policy": (3, 3), "triggers.monitors": (3, 0)}
NOT_IN_THE_REFERENCE = {
    "operators.integration",
    "operators.job",
    "operators.remembered",
    "retry_policy",
    "sensors.job",
}
"""Bases, and what Airflow itself calls."""


@pytest.mark.skipif(DEFAULT_RETRY_POLICY is None, reason="older Airflow lacks what some names need")
def test_no_name_changes_unnoticed() -> None:
    # If this is meant: `python -m dev.scripts.public_names`, and a line in the CHANGELOG.
    assert public_names.render().splitlines() == KEPT.splitlines()


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_each_airflow_has_them(module: str, name: str) -> None:
    if NEEDS_AIRFLOW.get(module, (0,)) > AIRFLOW:
        pytest.skip("Airflow lacks what it needs")
    assert hasattr(importlib.import_module(f"airflow_provider_datafold.{module}"), name)


def test_reference_has_them_all() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "api").glob("*.rst"))
    for module, name in CLASSES:
        if module in NOT_IN_THE_REFERENCE or name == "DatafoldCIOperator":
            continue
        whole = f".. automodule:: airflow_provider_datafold.{module}\n   :members:" in pages
        assert whole or f".. autoclass:: airflow_provider_datafold.{module}.{name}" in pages
