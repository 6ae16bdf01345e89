"""What the cases and their DAGs agree on; Airflow's processes read it, too."""

from __future__ import annotations

import os
from pathlib import Path

TASK_ID = "gate"
"""The task of each case's DAG. It tags its data diffs with ``<DAG>.<task>``."""
NEIGHBOUR = "neighbour"
LOAD = "load"
LOGICAL_DATE = "2024-01-01T00:00:00+00:00"
RUN_ID = f"manual__{LOGICAL_DATE}"
RETRIES = 2

RETRIES_CHANGED = "retries_changed"
MONITOR_RUN, CI_RUN = "monitor_run", "ci_run"
"""The DAGs whose task waits for a run of a monitor or of CI instead of a data diff."""
MONITOR_ID, CI_CONFIG_ID = 4, 2

SOURCE_ID, WAREHOUSE = 2, "warehouse.sqlite"
"""A data source that the sandbox really compares, and its file in Airflow's home."""

WATCHES = {"watch_orders": 1, "watch_customers": 2}
"""The monitors that are watched, by the DAGs that their alerts start."""
POLL_INTERVAL = 1.0
"""Seconds between two polls of the list of monitors."""
REPORTED = "reported"
"""The task that returns which runs its DAG was started for."""

ONE_MORE_RETRY, LOAD_BREAKS = "one-more-retry", "load-breaks"
"""What a case can switch on while Airflow runs."""


def switch_on(switch: str, home: Path) -> None:
    """Switch something on, given Airflow's home."""
    (home / switch).touch()


def is_on(switch: str) -> bool:
    """Return whether something is switched on, in one of Airflow's processes."""
    return Path(os.environ["AIRFLOW_HOME"], switch).exists()
