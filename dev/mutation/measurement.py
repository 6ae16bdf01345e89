"""Measure which lines each test runs, how long it takes, and whether it fails without a mutant."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import coverage

FOLDER = Path(".mutation")
_LINES = FOLDER / "lines"
_TESTS = FOLDER / "tests.json"


@dataclass(frozen=True)
class Measurement:
    """The result of a run of all tests.

    :param seconds: how long each test takes, by node id.
    :param failing: the tests that fail without any mutant, which are not used.
    :param lines: the tests that run a line, by file and line; ``""`` stands for the import of
        modules.
    """

    seconds: Mapping[str, float]
    failing: frozenset[str]
    lines: Mapping[Path, Mapping[int, frozenset[str]]]


def start() -> None:
    """Delete the previous measurement."""
    shutil.rmtree(_LINES, ignore_errors=True)
    _LINES.mkdir(parents=True)


def part(number: int) -> coverage.Coverage:
    """Return an object that measures the lines of some tests, the part with this number."""
    file = str(_LINES / f"{number}")
    return coverage.Coverage(data_file=file, source=["airflow_provider_datafold"])


def save(seconds: Mapping[str, float], failing: frozenset[str]) -> None:
    """Save the times and the failing tests. The lines are already saved."""
    _TESTS.write_text(json.dumps({"seconds": seconds, "failing": sorted(failing)}))


def load() -> Measurement:
    """Return the last measurement."""
    tests = json.loads(_TESTS.read_text())
    data = coverage.CoverageData(no_disk=True)
    for path in _LINES.iterdir():
        read = coverage.CoverageData(str(path))
        read.read()
        data.update(read)
    lines = {}
    for file in data.measured_files():
        found = data.contexts_by_lineno(file)
        lines[Path(file)] = {line: frozenset(tests) for line, tests in found.items()}
    return Measurement(tests["seconds"], frozenset(tests["failing"]), lines)
