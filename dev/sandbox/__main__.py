"""Run the sandbox by itself: ``python -m dev.sandbox``."""

from __future__ import annotations

import argparse
import json
import re
import signal
import tempfile
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

from dev.comparison.question import is_url
from dev.comparison.sample import create_sample
from dev.sandbox.bi import ASSUMPTION
from dev.sandbox.disturbance import Disturbance
from dev.sandbox.server import DEFAULT_API_KEY, Sandbox
from dev.sandbox.state import State

_HELP = """\
Data diffs really compare the tables and queries of the databases that --database names.

To try a DAG of your own, with the environment that "make demo" creates in .venv:

  1. Start the sandbox with the database that the DAG loads into, a DuckDB or SQLite file or a
     PostgreSQL URL. The file does not have to exist yet.

       .venv/bin/python -m dev.sandbox --database warehouse.db

  2. In the shell in which Airflow runs (.venv has one, with the provider for SQLite), paste the
     lines that the sandbox prints, and export a connection to the database. For an SQLite file:

       export AIRFLOW_CONN_WAREHOUSE_DEFAULT='{"conn_type": "sqlite", "host": "/.../warehouse.db"}'

  3. In the DAG, use data source 1 on both sides. Data source 2 is the second --database if there is
     one, otherwise the same database.

       DatafoldRunDataDiffOperator(
           task_id="compare",
           data_source1_id=1,
           data_source2_id=1,
           table1="orders",
           table2="orders_staging",
           pk_columns=["id"],
       )

     Monitors of data source 1 really run, if they are tests (which alert if their query returns
     rows) or metrics "row_count" with absolute thresholds.

     Queries of the hook's query_data_source run in these databases, too, and change nothing.

  4. The link on the task's page leads to the diff: its figures, and the first rows that differ.

What a diff says:

  identical    same rows and, within one data source, same columns with the same types
  different    anything else that was compared; rows_added are only in side 2, rows_removed only in
               side 1, diff_rows_count have different values; match_ratio is the ratio of keys whose
               rows are equal (Datafold does not publish what its match_ratio divides)
  empty        both sides have no rows
  missing-pks  no primary key was given or could be inferred, or a side has no such column
  bad-pks      a key is null or occurs twice

It supports tables, queries, filters, included, excluded and renamed columns, infer_pk (within one
data source, or with two queries) and diff_tolerance (a relative one as a fraction of the greater
number). Options that only change how a diff runs, or without which it only finds more differences,
such as materialize_dataset1 and datetime_tolerance, are ignored and logged. It refuses other
options, such as those of sampling, with a 422.

Its SQL changes nothing, and reads no other file, except as a superuser of PostgreSQL: connect with
a role that may only read tables.

Only one process can have a DuckDB file open for writing, and no other process can read it
meanwhile: a diff waits up to 10 s for the file, then fails. Close the file at the end of the task
that loads.
"""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m dev.sandbox",
        description=textwrap.fill("A stand-in for Datafold's API on 127.0.0.1. " + ASSUMPTION, 100),
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    parser.add_argument(
        "--api-key", default=DEFAULT_API_KEY, help="the key to accept (default: %(default)s)"
    )
    parser.add_argument(
        "--database",
        action="append",
        default=[],
        metavar="FILE_OR_URL",
        help="a database to compare, once or twice for data sources 1 and 2 (default: a new DuckDB "
        "file with the tables orders and orders_staging)",
    )
    parser.add_argument(
        "--delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="extra time that a data diff takes (default: 0)",
    )
    parser.add_argument(
        "--integrations", type=int, default=10, help="number of integrations (default: %(default)s)"
    )
    parser.add_argument(
        "--flaky",
        type=float,
        default=0.0,
        metavar="FRACTION",
        help="fraction of calls that get 429 or 503, from 0 to 1 (default: 0)",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=0.0,
        metavar="CALLS",
        help="calls a second above which it responds 429 (default: no limit)",
    )
    arguments = parser.parse_args()
    if len(arguments.database) > 2:
        parser.error("--database: pass at most two, for the two data sources")
    sandbox = Sandbox(
        api_key=arguments.api_key,
        port=arguments.port,
        state=State(count=arguments.integrations),
        disturbance=Disturbance(flaky=arguments.flaky, rate=arguments.rate),
    )
    sandbox.state.data_diffs.delay = arguments.delay
    # So that nothing stays behind when it is stopped in the usual way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        tempfile.TemporaryDirectory(prefix="datafold-sandbox-") as folder,
        sandbox,
    ):
        databases = arguments.database or [create_sample(Path(folder) / "warehouse.duckdb")]
        data_sources = ((1, databases[0]), (2, databases[-1]))
        for number, database in data_sources:
            sandbox.state.data_sources.connect(number, database)
        print(f"The sandbox listens at {sandbox.url}", flush=True)
        print(f"Its API is described at {sandbox.url}/docs", flush=True)
        for number, database in data_sources:
            print(f"Data source {number} is {_shown(database)}", flush=True)
        connection = {"conn_type": "datafold", "host": sandbox.url, "password": sandbox.api_key}
        hightouch = {"conn_type": "generic", "password": "any-token-will-do"}
        print("For the shell in which Airflow runs:", flush=True)
        print(f"export AIRFLOW_CONN_DATAFOLD_DEFAULT='{json.dumps(connection)}'", flush=True)
        print(f"export AIRFLOW_CONN_HIGHTOUCH_DEFAULT='{json.dumps(hightouch)}'", flush=True)
        threading.Event().wait()


def _shown(database: str) -> str:
    """Return where a database is, without a password."""
    return (
        re.sub("://.*@", "://***@", database)
        if is_url(database)
        else str(Path(database).absolute())
    )


if __name__ == "__main__":
    main()
