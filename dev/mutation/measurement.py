"""Measure which lines each test runs, how long it takes, and whether it fails without a mutant."""

from __future__ import annotations

import json
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
    _LINES.mkdir(parents=True, exist_ok=True)
    for old in _LINES.iterdir():
        old.unlink()


def part(number: int) -> coverage.Coverage:
    """Return an object that measures the lines of some tests.

    :param number: the number of that part of the tests.
    """
    return coverage.Coverage(
        data_file=str(_LINES / f"{number}"), source=["airflow_provider_datafold"]
    )


def save(seconds: Mapping[str, float], failing: frozenset[str]) -> None:
    """Save the times and the failing tests. The lines are already saved."""
    _TESTS.write_text(json.dumps({"seconds": seconds, "failing": sorted(failing)}))


def load() -> Measurement:
    """Return the last measurement.

    :raises FileNotFoundError: there is none.
    """
    tests = json.loads(_TESTS.read_text())
    data = coverage.CoverageData(no_disk=True)
    for path in _LINES.iterdir():
        read = coverage.CoverageData(str(path))
        read.read()
        data.update(read)
    lines = {
        Path(file): {
            line: frozenset(found) for line, found in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    return Measurement(tests["seconds"], frozenset(tests["failing"]), lines)
