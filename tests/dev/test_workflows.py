"""The workflows and the forms for issues: they call what there is, and ask for what helps."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.docs.test_versions_page import TESTED, airflows

FOLDER = ROOT / ".github"


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


CI = load("workflows/ci.yml")["jobs"]
RELEASE = load("workflows/release.yml")


def test_ci_calls_the_parts_of_the_checks_before_a_change_lands() -> None:
    calls = (FOLDER / "workflows" / "ci.yml").read_text()
    lines = re.findall(r"^make (.*)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    parts = {part for line in lines for part in line.split() if not part.startswith("--")}
    # `make test-oldest` are sessions, and each has a job of its own.
    for part in parts - {"install", "test-oldest"} | {"docs"}:
        assert f"make {part}\n" in calls or part in CI["system"]["strategy"]["matrix"]["target"]
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([\w-]+)$", calls, re.MULTILINE)) <= targets
    assert set(CI["system"]["strategy"]["matrix"]["target"]) <= targets


def test_ci_has_each_tested_version() -> None:
    assert CI["airflow"]["strategy"]["matrix"]["include"] == [
        {"airflow": airflow, "python": python}
        for airflow, python in [
            *((airflow, python) for airflow, _, python in TESTED),
            ("3.3", "3.14"),
        ]
    ]
    allowed = {python for pythons in airflows().values() for python in pythons}
    assert set(CI["test"]["strategy"]["matrix"]["python"]) == allowed


def test_only_the_job_that_publishes_may_say_who_it_is() -> None:
    jobs = RELEASE["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["publish"]
    assert jobs["publish"]["permissions"] == {"attestations": "write", "id-token": "write"}
    assert jobs["publish"]["needs"] == ["ci", "build"]
    # YAML takes the word "on" for a boolean.
    assert RELEASE[True] == {"push": {"tags": ["v*"]}}


def test_every_action_is_pinned() -> None:
    lines = [
        line for page in FOLDER.glob("workflows/*.yml") for line in page.read_text().splitlines()
    ]
    for line in (line for line in lines if "uses: " in line and "uses: ./" not in line):
        assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_forms_ask_for_versions_and_for_no_secret(name: str) -> None:
    form = load(f"ISSUE_TEMPLATE/{name}.yml")
    ids = [part["id"] for part in form["body"] if "id" in part]
    assert len(ids) == len(set(ids))
    assert "versions" in ids
    assert "password" not in " ".join(ids)
