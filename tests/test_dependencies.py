"""The package declares what it imports, and imports what it declares."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import airflow_provider_datafold
from tests.conftest import ROOT

NAME = airflow_provider_datafold.__name__
OPTIONAL = {
    "fastapi": "only Airflow 3's API server loads the page, and has it",
    "flask_appbuilder": "Airflow up to 3.1 has it, and asks for the form of the connection",
    "wtforms": "as flask_appbuilder",
    "openlineage": "only Airflow's OpenLineage provider calls what imports it",
    "sqlalchemy": "as fastapi",
}
"""What the package does without where it is missing."""


def imported() -> Iterator[str]:
    """Yield the modules that the package imports, wherever it does."""
    for file in (ROOT / NAME).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module or ""


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    roots = {module.split(".")[0] for module in imported()} - {NAME} - sys.stdlib_module_names
    assert OPTIONAL.keys() <= roots
    owners = packages_distributions()
    # Many packages have a part of this one.
    own = roots - {"airflow", *OPTIONAL}
    # Python 3.10 does not know whose some modules are. Those have the name of their package.
    found = {name.lower() for root in own for name in owners.get(root, [root])}
    # As the file says, not as the environment: that may have been made before a change.
    project = (ROOT / "pyproject.toml").read_text()
    lines = project.split("\ndependencies = [")[1].split("]")[0]
    declared = set(re.findall(r'"([\w.-]+)', lines))
    assert declared == found | {"apache-airflow", "apache-airflow-providers-common-compat"}


def test_of_airflows_providers_only_common_compat_is_needed() -> None:
    providers = {module for module in imported() if module.startswith("airflow.providers.")}
    # Airflow itself needs the second one from 3.0 on, and only then is it imported.
    there = ("airflow.providers.openlineage.", "airflow.providers.standard.")
    needed = {name for name in providers if not name.startswith(there)}
    assert all(name.startswith("airflow.providers.common.compat.") for name in needed)
