"""The cluster test: ``make test-cluster``, which installs what it needs.

Two hundred gates, sixty monitor runs and forty schedule changes on Airflow with two Celery workers
and two triggerers, against a sandbox that refuses a fifth of the calls and limits the rate. In
mid-run a worker and a triggerer are killed, and the database is away for five seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dev.cluster.deployment import TRIGGERERS, WORKERS, Cluster
from dev.cluster.disturbances import CUT, Disturbances
from dev.cluster.metadata import Metadata
from dev.cluster.plan import CLUSTER
from dev.cluster.result import Result, report
from dev.cluster.service import Service
from dev.local_airflow.main import play
from dev.local_airflow.programs import Programs
from dev.sandbox.disturbance import Disturbance

LONGEST_RUN = 1500.0
"""Seconds; enough for two cores that are busy with something else, too."""

# The rate is exceeded whenever many tasks and triggers send at once, and is what they can keep to
# otherwise.
FLAKY, RATE = 0.2, 10.0

RUN = 1
"""The number of the only DAG run."""


def main() -> int:
    """Run the test.

    :return: exit code, 0 when all is as it has to be.
    """
    service = Service(CLUSTER, Disturbance(flaky=FLAKY, rate=RATE))
    return play(
        "cluster",
        LONGEST_RUN,
        service.sandbox,
        lambda programs, home: _run(programs, home, service),
    )


def _run(programs: Programs, home: Path, service: Service) -> int:
    def say(what: str) -> None:
        print(f"{programs.seconds:4.0f} s  {what}", flush=True)

    cluster = Cluster(programs, home, service.sandbox)
    metadata = Metadata(cluster.database)
    say("PostgreSQL and Redis run")
    cluster.start("dag-processor", "scheduler", restarts=True)
    workers = [cluster.start_worker() for _ in range(WORKERS)]
    triggerer = cluster.start_triggerer()
    # One after the other: only the order tells which is which.
    programs.until("the first triggerer ran", lambda: bool(metadata.triggerers()))
    cluster.start_triggerer()
    programs.until("the second triggerer ran", lambda: len(metadata.triggerers()) == TRIGGERERS)
    say(f"Airflow runs, with {WORKERS} workers and {TRIGGERERS} triggerers")

    cluster.trigger(CLUSTER.dag_id, str(RUN))
    disturbances = Disturbances(programs, cluster, metadata, service, say)
    tasks = disturbances.kill_worker(workers[0])
    triggers = disturbances.kill_triggerer(triggerer, metadata.triggerers()[0])
    connections = disturbances.cut_database()
    programs.until("the DAG run ended", metadata.has_ended, every=1.0)
    say("the DAG run ended\n")
    result = Result(CLUSTER, RUN, metadata, service, programs.logs)
    return report(
        {
            **result.counts(),
            "killed": f"worker with {tasks} tasks, triggerer with {triggers} triggers",
            "database away": f"{CUT:g} s, {connections} connections cut",
            "started again": ", ".join(programs.restarts) or "nothing",
            "seconds": f"{programs.seconds:.0f}",
        },
        {
            **result.criteria(),
            "the service refused a fifth of the requests": result.refused > 0.9 * FLAKY,
            "the kills and the cut hit": min(tasks, triggers, connections) > 0,
        },
    )


if __name__ == "__main__":
    sys.exit(main())
