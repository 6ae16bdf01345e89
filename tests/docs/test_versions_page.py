"""docs/versions.md and the package's page name the versions that are tested, and no others."""

from __future__ import annotations

import ast
import re
from importlib.metadata import metadata

from tests import documents
from tests.conftest import ROOT

TESTED = documents.rows(documents.section(ROOT / "docs" / "versions.md", "What is tested"))


def airflows() -> dict[str, tuple[str, ...]]:
    """What the sessions are made of, without a look for interpreters."""
    for statement in ast.parse((ROOT / "noxfile.py").read_text()).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "AIRFLOWS":
            return dict(ast.literal_eval(statement.value))
    raise AssertionError("noxfile.py names no AIRFLOWS")


def release(airflow: str) -> str:
    constraints = (ROOT / "dev" / "constraints" / f"airflow-{airflow}.txt").read_text()
    (found,) = re.findall(r"^apache-airflow==(\S+)", constraints, re.MULTILINE)
    return str(found)


def test_the_grid_is_what_the_sessions_run() -> None:
    assert [
        [airflow, release(airflow), pythons[0]] for airflow, pythons in airflows().items()
    ] == TESTED


def test_the_package_names_the_versions_of_python_that_the_sessions_take() -> None:
    named = [
        classifier.rpartition(" ")[2]
        for classifier in metadata("airflow-provider-datafold").get_all("Classifier") or []
        if re.search(r":: Python :: 3\.\d+$", classifier)
    ]
    assert named == sorted({each for pythons in airflows().values() for each in pythons})


def test_the_other_pages_name_the_same_range() -> None:
    (first, *_), (last, *_) = TESTED[0], TESTED[-1]
    for page in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        assert f"Airflow {first} to {last}" in page.read_text()
