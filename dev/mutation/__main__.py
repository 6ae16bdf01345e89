"""Count the mutants that the tests find: ``python -m dev.mutation``."""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

import pytest

from dev.mutation.measurement import FOLDER
from dev.mutation.mutant import find
from dev.mutation.process import Outcome
from dev.mutation.run import OPTIONS, PACKAGE, Run
from dev.mutation.score import LEAST, Score, known, listed, named, path

GENERATED = PACKAGE / "redaction" / "names.py"

# These run other programs, which do not have the mutant, or are not about the package.
LEFT_OUT = (
    "tests/dags",
    "tests/lineage",
    "tests/system",
    "tests/docs/test_coverage_page.py",
    "tests/dev/test_benchmarks.py",
    "tests/dev/test_contributing.py",
    "tests/connection/test_connections_command.py",
    "tests/dev/test_demo.py",
    "tests/dev/test_mutation.py",
    "tests/dev/test_reliability.py",
    "tests/dev/test_sandbox.py",
    "tests/dev/test_wheel.py",
)


def main() -> int:
    """Run the command, and return 0 if the tests find enough mutants."""
    parser = argparse.ArgumentParser(
        prog="python -m dev.mutation",
        description="Make mistakes in the package, one at a time, and check whether a test fails.",
    )
    parser.add_argument("files", nargs="*", type=Path, help="modules to mutate (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="number of processes (default: 2)")
    parser.add_argument("--measured", action="store_true", help="reuse the last measurement")
    parser.add_argument(
        "--tests", nargs="+", default=["tests"], help="the tests to use (default: all)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--survived", action="store_true", help="only what survived the last run")
    which.add_argument("--rest", action="store_true", help="continue an interrupted run")
    arguments = parser.parse_args()
    files = arguments.files or sorted({*PACKAGE.rglob("*.py")} - {GENERATED})
    mutants = [found for file in files for found in find(file)]
    FOLDER.mkdir(exist_ok=True)
    if arguments.survived:
        survived = listed("survived")
        mutants = [found for found in mutants if str(found) in survived]
    # So that an interrupted run covers all modules.
    random.Random(0).shuffle(mutants)  # noqa: S311
    score = Score(len(mutants), is_rest=arguments.rest)
    tried = listed()
    untried = []
    for found in (found for found in mutants if str(found) not in tried):
        if named(found) in known():
            score.add(found, Outcome(end="well"))
        else:
            untried.append(found)
    run = Run(untried, arguments.jobs, score.add, is_measured=arguments.measured)
    ignored = (f"--ignore={path}" for path in LEFT_OUT)
    start = time.monotonic()
    code = pytest.main([*OPTIONS, *arguments.tests, *ignored], plugins=[run])
    print(f"{score}, in {(time.monotonic() - start) / 60:.0f} minutes.")
    print(f"{path('survived')} lists the survivors.")
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        return int(code)
    return 0 if score.value >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
