"""Run the sandbox by itself: ``python -m dev.sandbox``."""

from __future__ import annotations

import argparse
import json
import re
import signal
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

from dev.comparison.question import is_url
from dev.sandbox.bi import ASSUMPTION
from dev.sandbox.server import Sandbox

_HELP = """\
Data diffs really compare the tables and queries of the databases that --database names, and
change nothing; docs/first_gate.md has an example. Queries of the hook's query_data_source run in
them, too. Without a database, all jobs follow a course, and data diffs are identical.

What a diff says:

  identical    same rows and, within one data source, same columns with the same types
  different    anything else that was compared; rows_added are only in side 2, rows_removed only in
               side 1, diff_rows_count have different values; match_ratio is the ratio of keys whose
               rows are equal (Datafold does not publish what its match_ratio divides)
  empty        both sides have no rows
  missing-pks  no primary key was given or could be inferred, or a side has no such column
  bad-pks      a key is null or occurs twice

It supports tables, queries, filters, included, excluded and renamed columns, infer_pk and
diff_tolerance (a relative one as a fraction of the greater number). Options without which it only
finds more differences, such as datetime_tolerance, are ignored and logged. It refuses other
options, such as those of sampling, with a 422.

Its SQL reads no other file, except as a superuser of PostgreSQL: connect with a role that may only
read tables. Only one process can have a DuckDB file open for writing, and no other process can read
it meanwhile: a diff waits up to 10 s for the file, then fails. Close the file at the end of the
task that loads.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dev.sandbox",
        description=textwrap.fill("A stand-in for Datafold's API on 127.0.0.1. " + ASSUMPTION, 100),
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    parser.add_argument(
        "--database",
        action="append",
        default=[],
        metavar="FILE_OR_URL",
        help="a DuckDB or SQLite file, which may not exist yet, or a PostgreSQL URL, once or twice "
        "for data sources 1 and 2",
    )
    given = parser.parse_args()
    # One is behind both data sources.
    databases = [*given.database, *given.database][:2]
    sandbox = Sandbox(port=given.port)
    # So that nothing stays behind when it is stopped in the usual way.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), sandbox:
        for number, database in enumerate(databases, 1):
            sandbox.state.data_sources.connect(number, database)
            print(f"Data source {number} is {_shown(database)}", flush=True)
        print(f"The sandbox listens at {sandbox.url}", flush=True)
        print(f"Its API is described at {sandbox.url}/docs", flush=True)
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
