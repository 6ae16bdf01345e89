"""The tests of a whole Airflow: ``make test-kill`` and ``make test-cluster``."""

from __future__ import annotations

import argparse
import sys

from dev.harness import cluster
from dev.harness.kills import run as kills
from dev.harness.kills.cases import CASES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.harness", description=__doc__)
    tests = parser.add_subparsers(dest="test", required=True)
    killing = tests.add_parser("kills", description=kills.__doc__)
    killing.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    tests.add_parser("cluster", description=cluster.__doc__)
    given = parser.parse_args()
    if given.test == "cluster":
        return cluster.main()
    if unknown := set(given.cases) - CASES.keys():
        killing.error(f"unknown case: {', '.join(unknown)}")
    return kills.main(given.cases or CASES)


if __name__ == "__main__":
    sys.exit(main())
