"""Sixty gates, twenty monitor runs and twenty schedule changes on a Celery cluster.

It has two workers and two triggerers; the sandbox refuses a fifth of the calls and limits the rate.
In mid-run a worker and a triggerer are killed, and the database is away for five seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dev.harness.cluster.plan import (
    CHANGE,
    COUNTS,
    DAG_ID,
    GATE,
    GATES,
    MONITOR,
    RUN_ID,
    Key,
    keys,
)
from dev.harness.cluster.service import FLAKY, PlannedService
from dev.harness.deployment import IMPATIENT, Deployment, start_redis
from dev.harness.report import report, secrets, texts
from dev.local_airflow.main import play
from dev.local_airflow.programs import Program, Programs

_DAGS = Path(__file__).parent / "dags"
_CUT = 5.0
"""Seconds without the database."""
_LONGEST = 600.0
"""Seconds; enough for two cores that are busy with something else, too."""
_TASKS_TO_HIT, _TRIGGERS_TO_HIT = 2, 4
_MOST_REQUESTS = 2.0
"""Per schedule change."""
_SETTINGS = {
    **IMPATIENT,
    # The scheduler would have a process for each core ask how tasks are.
    "AIRFLOW__CELERY__SYNC_PARALLELISM": "1",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    # The next tasks are in the queue already when a slot becomes free.
    "AIRFLOW__CORE__PARALLELISM": "16",
    # The cut ends the scheduler; another one takes over its tasks after a check.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "3",
}
_RUNNING = "select task_id, map_index, pid from task_instance where state = 'running'"
_FIRST_TRIGGERER = "select min(id) from job where job_type = 'TriggererJob'"
_VERDICTS = re.compile(
    r"(?:Data diff|Run) (\d+)(?: of monitor \d+)? (passes|differs|ended with an alert)\b"
)


def main() -> int:
    """Run the test, and return the exit code."""
    service = PlannedService()
    return play("cluster", _LONGEST, service.sandbox, partial(_run, service))


def _run(service: PlannedService, programs: Programs, home: Path) -> int:
    airflow = Deployment(programs, home, _DAGS, service.sandbox, _SETTINGS)
    database = airflow.database
    airflow.settings |= {
        "AIRFLOW__CELERY__BROKER_URL": start_redis(programs, home),
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database.url}",
    }

    def start(name: str, *command: str) -> Program:
        return airflow.launch(name, *command, "--skip-serve-logs", restarts=True)

    def start_worker(number: int) -> Program:
        name = f"worker-{number}"
        host, pid = f"--celery-hostname={name}@127.0.0.1", f"--pid={home}/{name}.pid"
        return start(name, "celery", "worker", host, pid)

    def until(what: str, condition: Callable[[], bool]) -> None:
        """Wait until something can be hit, or all has ended; that is counted in the end."""
        programs.until(what, lambda: condition() or database.has_ended(), every=1.0)

    def say(what: str) -> None:
        print(f"{programs.seconds:4.0f} s  {what}", flush=True)

    def running(pids: set[int]) -> list[Key]:
        return [Key(*key) for *key, pid in database.query(_RUNNING) if pid in pids]

    def triggers(whose: str) -> int:
        return database.number(f"select count(*) from trigger where triggerer_id {whose}")

    airflow.start("dag-processor", "scheduler", restarts=True)
    worker, triggerer = start_worker(1), start("triggerer-1", "triggerer")
    # One after the other: only the order tells which is which.
    programs.until("a triggerer ran", lambda: database.query(_FIRST_TRIGGERER)[0][0] is not None)
    start_worker(2)
    start("triggerer-2", "triggerer")
    say("Airflow runs, with 2 workers and 2 triggerers")
    airflow.trigger(DAG_ID, RUN_ID)

    def gates_wait() -> bool:
        tasks, made = running(worker.pids()), service.made()
        return len(tasks) >= _TASKS_TO_HIT and any(
            task.task_id == GATE and made[task] for task in tasks
        )

    until("gates waited in a worker", gates_wait)
    tasks = running(worker.kill())
    say(f"a worker was killed: {', '.join(sorted(task.task_id for task in tasks))}")
    start_worker(3)

    its = f"= ({_FIRST_TRIGGERER})"
    until("a triggerer had triggers", lambda: triggers(its) >= _TRIGGERS_TO_HIT)
    triggerer.kill()
    orphans = triggers(its)
    say(f"a triggerer was killed: it had {orphans} triggers")
    until("the other triggerer had them", lambda: not triggers(its))

    def tasks_run_and_wait() -> bool:
        is_running = len(database.query(_RUNNING)) >= _TASKS_TO_HIT
        return is_running and triggers("> 0") >= _TRIGGERS_TO_HIT

    until("tasks ran and waited", tasks_run_and_wait)
    connections = database.cut(_CUT)
    say(f"the database was away for {_CUT:g} s: {connections} connections were cut")
    programs.until("the DAG run ended", database.has_ended, every=1.0)
    say("the DAG run ended\n")

    states = database.query("select task_id, map_index, state, try_number from task_instance")
    ends = {Key(*key): state for *key, state, _ in states}
    wanted = {key: "success" if key.is_good else "failed" for key in keys(*COUNTS)}
    made, changes = service.made(), service.changes()
    statuses = service.statuses()
    refused = (statuses[429] + statuses[503]) / statuses.total()
    requests = service.statuses("PUT", "/api/v1/lineage/bi/.*").total() / COUNTS[CHANGE]
    in_logs, in_tables = secrets(texts(programs.logs)), secrets(database.rows())
    logs = programs.logs / "tasks" / f"dag_id={DAG_ID}" / f"run_id={RUN_ID}"
    criteria = {"each task is in its right state": ends == wanted}
    for noun, waiting in (("data diff", keys(*GATES)), ("monitor run", keys(MONITOR))):
        criteria[f"each task made one {noun}, which ended"] = all(
            list(made[key].values()) == [True] for key in waiting
        )
        criteria[f"each task judged its own {noun} rightly"] = all(
            verdicts(logs, key) == {(number, key.is_good) for number in made[key]}
            for key in waiting
        )
    return report(
        {
            "asked for": ", ".join(f"{count} {name}s" for name, count in COUNTS.items()),
            "done": f"{sum(ends.get(key) == wanted[key] for key in wanted)} of {len(wanted)}",
            "jobs made": f"{sum(map(len, made.values()))}",
            "tries": f"{sum(tries for *_, tries in states)}",
            "requests": f"{statuses.total()}: {dict(sorted(statuses.items()))}",
            "requests per change": f"{requests:.2f}",
            "secrets": f"{in_logs[1]} in {in_logs[0]} logs, {in_tables[1]} in {in_tables[0]} rows",
            "killed": f"worker with {len(tasks)} tasks, triggerer with {orphans} triggers",
            "database away": f"{_CUT:g} s, {connections} connections cut",
            "started again": ", ".join(programs.restarts) or "nothing",
        },
        {
            **criteria,
            "each schedule was changed": all(
                (key.index + 1, key.cron) in changes for key in keys(CHANGE)
            ),
            f"at most {_MOST_REQUESTS:g} requests per change": requests <= _MOST_REQUESTS,
            "no secret is in any log or table": all(
                places and not found for places, found in (in_logs, in_tables)
            ),
            "the service refused a fifth of the requests": refused > 0.9 * FLAKY,
            "the kills and the cut hit": min(len(tasks), orphans, connections) > 0,
        },
    )


def verdicts(logs: Path, task: Key) -> set[tuple[int, bool]]:
    """Return the jobs that a task has judged, and whether it let them pass, from the run's logs."""
    folder = logs / f"task_id={task.task_id}" / f"map_index={task.index}"
    return {
        (int(number), verdict == "passes")
        for text in texts(folder)
        for number, verdict in _VERDICTS.findall(text)
    }
