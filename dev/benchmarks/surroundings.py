"""The Airflow in which everything is measured: a home of its own, and its defaults."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def prepared() -> Iterator[None]:
    """Make the surroundings of this process and its children; import no Airflow before.

    :return: nothing, until the context ends.
    """
    bundle = {
        "name": "benchmarks",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(Path(__file__).parent / "dags")},
    }
    before = dict(os.environ)
    with TemporaryDirectory(prefix="datafold-benchmarks-") as home:
        for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
            del os.environ[name]
        os.environ.update(
            {
                "AIRFLOW_HOME": home,
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
                # How long the supervisor may take to see that a task has ended; costs no CPU.
                "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
                "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
            }
        )
        # An installed package has its bytecode.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def silenced() -> Iterator[None]:
    """Let the log be written as always, with Airflow's defaults, but to nowhere.

    :return: nothing, until the context ends.
    """
    # By its descriptor, because Airflow's log holds on to the stream.
    sys.stdout.flush()
    before = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
