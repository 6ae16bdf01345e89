"""The tests of a whole Airflow: ``make test-kill``, ``make test-cluster`` and ``make soak``."""

from __future__ import annotations

import argparse
import sys

from dev.harness import cluster, soak
from dev.harness.kills import run as kills
from dev.harness.kills.cases import CASES
from dev.local_airflow.main import play


def main() -> int:
    """Run a test, and return the exit code, 0 when all is as it must be."""
    parser = argparse.ArgumentParser(prog="python -m dev.harness", description=__doc__)
    tests = parser.add_subparsers(dest="test", required=True)
    killing = tests.add_parser("kills", description=kills.__doc__)
    killing.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    tests.add_parser("cluster", description=cluster.__doc__)
    soaking = tests.add_parser("soak", description=soak.__doc__)
    soaking.add_argument("minutes", nargs="?", type=float, default=soak.MINUTES)
    given = parser.parse_args()
    if unknown := set(getattr(given, "cases", ())) - CASES.keys():
        killing.error(f"unknown case: {', '.join(unknown)}")
    test: kills.Test | cluster.Test | soak.Test
    if given.test == "kills":
        test = kills.Test(given.cases or CASES)
    elif given.test == "cluster":
        test = cluster.Test()
    else:
        test = soak.Test(given.minutes)
    return play(given.test, test.longest, test.service.sandbox, test.run)


if __name__ == "__main__":
    sys.exit(main())
