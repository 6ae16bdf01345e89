"""The environment of all measurements: an Airflow home of its own, and Airflow's defaults."""

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
    """Set the environment of this process and its children; import no Airflow before.

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
                # The supervisor sees sooner that a task has ended, for no CPU.
                "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
                "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
            }
        )
        # An installed package has its bytecode, and so the measured one needs it.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def silenced() -> Iterator[None]:
    """Discard the log after it has been written with Airflow's defaults.

    :return: nothing, until the context ends.
    """
    # Airflow's log keeps the stream, so that only its descriptor can be replaced.
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
