"""The tests of a whole Airflow: ``make test-kill`` and ``make test-cluster``."""

from __future__ import annotations

import argparse
import sys

from dev.harness import cluster
from dev.harness.kills import run as kills
from dev.harness.kills.cases import CASES
from dev.local_airflow.main import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.harness", description=__doc__)
    tests = parser.add_subparsers(dest="test", required=True)
    killing = tests.add_parser("kills", description=kills.__doc__)
    killing.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    tests.add_parser("cluster", description=cluster.__doc__)
    given = parser.parse_args()
    if unknown := set(getattr(given, "cases", ())) - CASES.keys():
        killing.error(f"unknown case: {', '.join(unknown)}")
    test: kills.Test | cluster.Test
    test = kills.Test(given.cases or CASES) if given.test == "kills" else cluster.Test()
    return play(given.test, test.longest, test.service.sandbox, test.run)


if __name__ == "__main__":
    sys.exit(main())
