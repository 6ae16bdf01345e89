"""The tests of a whole Airflow: ``make test-kill`` and ``make test-cluster``."""

from __future__ import annotations

import argparse
import sys

from dev.harness.cluster import run as cluster
from dev.harness.kills import run as kills
from dev.harness.kills.cases import CASES
from dev.harness.race import run as race


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.harness", description=__doc__)
    tests = parser.add_subparsers(dest="test", required=True)
    killing = tests.add_parser("kills", description=kills.__doc__)
    killing.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    tests.add_parser("cluster", description=cluster.__doc__)
    racing = tests.add_parser("race", description=race.__doc__)
    racing.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    if given.test == "cluster":
        return cluster.main()
    if given.test == "race":
        return race.main(given.rounds)
    if unknown := set(given.cases) - CASES.keys():
        killing.error(f"unknown case: {', '.join(unknown)}")
    return kills.main(given.cases or CASES)


if __name__ == "__main__":
    sys.exit(main())
