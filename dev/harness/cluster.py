"""Sixty gates, twenty monitor runs and twenty schedule changes on a Celery cluster.

It has two workers and two triggerers; the sandbox refuses a fifth of the calls and limits the rate.
In mid-run a worker and a triggerer are killed, and the database is away for five seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from dev.harness.deployment import IMPATIENT, Deployment, start_redis
from dev.harness.metadata import Metadata, Task
from dev.harness.plan import DAG_ID, GATE, RUN_ID
from dev.harness.result import Result, report
from dev.harness.service import PlannedService
from dev.local_airflow.main import play
from dev.local_airflow.programs import Program, Programs
from dev.sandbox.disturbance import Disturbance

DAGS = Path(__file__).parent / "dags"

# The rate is exceeded whenever many tasks and triggers send at once, and is what they can keep to
# otherwise.
_FLAKY, _RATE = 0.2, 10.0
_WORKERS = _TRIGGERERS = 2
_SLOTS = 4
"""Tasks that a worker runs at a time."""
_CUT = 5.0
"""Seconds without the database."""
_LONGEST = 600.0
"""Seconds; enough for two cores that are busy with something else, too."""
_DONE_BEFORE = 3
_TASKS_TO_HIT, _TRIGGERS_TO_HIT = 2, 4
_SETTINGS = {
    **IMPATIENT,
    # The scheduler would have a process for each core ask how tasks are.
    "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(_SLOTS),
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    # The next tasks are in the queue already when a slot becomes free.
    "AIRFLOW__CORE__PARALLELISM": str(2 * _WORKERS * _SLOTS),
    # The cut ends the scheduler; another one takes over its tasks after a check.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "3",
}


class Cluster(Deployment):
    """Airflow with Celery workers and triggerers that come and go."""

    def __init__(self, programs: Programs, home: Path, service: PlannedService) -> None:
        super().__init__(programs, home, DAGS, service.sandbox, _SETTINGS)
        self.settings |= {
            "AIRFLOW__CELERY__BROKER_URL": start_redis(programs, home),
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{self.database}",
        }
        self.service = service
        self.metadata = Metadata(self.database)
        self._numbers = itertools.count(1)

    def say(self, what: str) -> None:
        print(f"{self.programs.seconds:4.0f} s  {what}", flush=True)

    def start_worker(self) -> Program:
        name = f"worker-{next(self._numbers)}"
        host, pid = f"--celery-hostname={name}@127.0.0.1", f"--pid={self.home}/{name}.pid"
        return self.launch(name, "celery", "worker", host, pid, "--skip-serve-logs", restarts=True)

    def start_triggerer(self) -> Program:
        name = f"triggerer-{next(self._numbers)}"
        return self.launch(name, "triggerer", "--skip-serve-logs", restarts=True)

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until something can be hit, or all has ended; that is counted in the end."""
        self.programs.until(what, lambda: condition() or self.metadata.has_ended(), every=1.0)

    def kill_worker(self, victim: Program) -> int:
        """Kill a worker in which gates wait, start another one, and count the tasks that it had."""

        def running(pids: set[int]) -> list[Task]:
            return [
                task
                for task in self.metadata.tasks()
                if task.state == "running" and task.pid in pids
            ]

        def is_mid_run() -> bool:
            done = sum(task.state == "success" for task in self.metadata.tasks())
            tasks, made = running(victim.pids()), self.service.diffs()
            return (
                done >= _DONE_BEFORE
                and len(tasks) >= _TASKS_TO_HIT
                and any(task.key.task_id == GATE and task.key in made for task in tasks)
            )

        self.until("gates waited in a worker", is_mid_run)
        pids = victim.kill()
        hit = running(pids)
        names = ", ".join(sorted(task.key.task_id for task in hit))
        self.say(f"{victim.command.name} was killed, with {len(pids)} processes: {names}")
        self.say(f"{self.start_worker().command.name} was started")
        return len(hit)

    def kill_triggerer(self, victim: Program, job: int) -> int:
        """Kill a triggerer, leave the triggers of its job to the other one, and count them."""
        triggers = self.metadata.triggers
        self.until("a triggerer had triggers", lambda: triggers()[job] >= _TRIGGERS_TO_HIT)
        victim.kill()
        hit = triggers()[job]
        self.say(f"{victim.command.name} was killed: it had {hit} triggers")
        self.until("the other triggerer had them", lambda: not triggers()[job])
        self.say("the other triggerer has them")
        return hit

    def cut_database(self) -> int:
        """Cut the connections to the database, while tasks run and wait, and count them."""

        def is_mid_run() -> bool:
            running = sum(task.state == "running" for task in self.metadata.tasks())
            triggers = self.metadata.triggers().total()
            return running >= _TASKS_TO_HIT and triggers >= _TRIGGERS_TO_HIT

        self.until("tasks ran and waited", is_mid_run)
        connections = self.metadata.cut(_CUT)
        self.say(f"the database was away for {_CUT:g} s: {connections} connections were cut")
        return connections


def main() -> int:
    """Run the test, and return the exit code."""
    service = PlannedService(Disturbance(flaky=_FLAKY, rate=_RATE))
    return play("cluster", _LONGEST, service.sandbox, lambda *where: _run(service, *where))


def _run(service: PlannedService, programs: Programs, home: Path) -> int:
    cluster = Cluster(programs, home, service)
    metadata = cluster.metadata
    cluster.start("dag-processor", "scheduler", restarts=True)
    workers = [cluster.start_worker() for _ in range(_WORKERS)]
    triggerer = cluster.start_triggerer()
    # One after the other: only the order tells which is which.
    programs.until("the first triggerer ran", lambda: bool(metadata.triggerers()))
    cluster.start_triggerer()
    programs.until("the second triggerer ran", lambda: len(metadata.triggerers()) == _TRIGGERERS)
    cluster.say(f"Airflow runs, with {_WORKERS} workers and {_TRIGGERERS} triggerers")

    cluster.trigger(DAG_ID, RUN_ID)
    tasks = cluster.kill_worker(workers[0])
    triggers = cluster.kill_triggerer(triggerer, metadata.triggerers()[0])
    connections = cluster.cut_database()
    programs.until("the DAG run ended", metadata.has_ended, every=1.0)
    cluster.say("the DAG run ended\n")
    result = Result(metadata, service, programs.logs)
    return report(
        {
            **result.counts(),
            "killed": f"worker with {tasks} tasks, triggerer with {triggers} triggers",
            "database away": f"{_CUT:g} s, {connections} connections cut",
            "started again": ", ".join(programs.restarts) or "nothing",
        },
        {
            **result.criteria(),
            "the service refused a fifth of the requests": result.refused > 0.9 * _FLAKY,
            "the kills and the cut hit": min(tasks, triggers, connections) > 0,
        },
    )
