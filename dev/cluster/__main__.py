"""The cluster test: ``make test-cluster``, which installs what it needs.

Forty mapped updates on Airflow with two Celery workers, against a sandbox that limits the rate
and refuses every fifth call. In mid-run one worker is killed, and another one started.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from dev.cluster.deployment import WORKERS, Deployment
from dev.cluster.metadata import Metadata, Task
from dev.cluster.plan import COUNT, CRONS
from dev.local_airflow import ROOT
from dev.local_airflow.programs import ProgramError, Programs
from dev.sandbox import Sandbox
from dev.sandbox.app import Weather
from dev.sandbox.state import State

LOGS = ROOT / "build" / "cluster"
LONGEST_RUN = 480.0
# By this seed just a fifth of the first fifty calls is refused. The rate is exceeded whenever the
# slots of both workers send at once, and is what they can keep to otherwise.
FLAKY, RATE, SEED = 0.2, 4.0, 30
UPDATES_BEFORE_KILL = 8
TASKS_TO_HIT = 2
MOST_REQUESTS = 2.0
"""Per update."""


def main() -> int:
    """Run the test.

    :return: exit code, 0 when all is as it has to be.
    """
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    print(f"All programs write their logs to {LOGS.relative_to(ROOT)}\n")
    programs = Programs(LOGS, LONGEST_RUN)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, programs.interrupt)
    weather = Weather(flaky=FLAKY, rate=RATE, seed=SEED)
    with (
        tempfile.TemporaryDirectory(prefix="datafold-cluster-") as home,
        Sandbox(secrets.token_urlsafe(), state=State(count=COUNT), weather=weather) as sandbox,
        programs,
    ):
        try:
            return _run(programs, Path(home), sandbox)
        except ProgramError as error:
            print(f"\n{programs.last_lines()}\n\n{error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nInterrupted; everything that was started is stopped.", file=sys.stderr)
            return 130


def _run(programs: Programs, home: Path, sandbox: Sandbox) -> int:
    def say(what: str) -> None:
        print(f"{programs.seconds:4.0f} s  {what}", flush=True)

    deployment = Deployment(programs, home, sandbox)
    metadata = Metadata(deployment.database)
    say("PostgreSQL and Redis run")
    deployment.start()
    workers = [deployment.start_worker() for _ in range(WORKERS)]
    say(f"Airflow runs, with {WORKERS} workers")

    victim = workers[0]

    def is_mid_run() -> bool:
        tasks = metadata.tasks()
        return (
            len(_succeeded(tasks)) >= UPDATES_BEFORE_KILL
            and len(_running(tasks, victim.pids())) >= TASKS_TO_HIT
        )

    programs.until(
        "a worker was in the middle of its work", lambda: is_mid_run() or metadata.has_ended()
    )
    pids = programs.kill(victim)
    tasks = metadata.tasks()
    hit = len(_running(tasks, pids))
    say(
        f"{victim.command.name} was killed: {len(pids)} processes, {hit} tasks running on it; "
        f"{len(_succeeded(tasks))} updates were done"
    )
    say(f"{deployment.start_worker().command.name} was started")

    programs.until("the DAG run ended", metadata.has_ended)
    say(f"the DAG run ended: {metadata.run_state()}\n")
    return _judge(metadata, sandbox, hit, programs.seconds)


def _judge(metadata: Metadata, sandbox: Sandbox, hit: int, seconds: float) -> int:
    tasks = metadata.tasks()
    succeeded = len(_succeeded(tasks))
    scheduled = sum(
        sandbox.state.integrations[number]["indexing_cron"] == cron
        for number, cron in CRONS.items()
    )
    requests = sandbox.state.requests
    statuses = Counter(request.status for request in requests)
    refusals = {status: statuses[status] for status in sorted(statuses) if status != 200}
    for name, count in {
        "updates": COUNT,
        "schedules as asked for": scheduled,
        "tasks": len(tasks),
        "tasks succeeded": succeeded,
        "tasks hit by the kill": hit,
        "tries": sum(task.tries for task in tasks),
        "requests": len(requests),
        "requests per update": f"{len(requests) / COUNT:.2f}",
        "refusals": ", ".join(f"{count} x {status}" for status, count in refusals.items()),
        "seconds": f"{seconds:.0f}",
    }.items():
        print(f"{name + ':':24}{count}")
    print()

    criteria = {
        "each integration has the schedule asked for": scheduled == COUNT,
        "no task is lost": len(tasks) == succeeded == COUNT and metadata.run_state() == "success",
        "the kill hit running tasks": hit > 0,
        "the service refused calls": bool(refusals),
        f"at most {MOST_REQUESTS} requests per update": len(requests) <= MOST_REQUESTS * COUNT,
    }
    for criterion, is_met in criteria.items():
        print(f"{'ok' if is_met else 'FAILED':8}{criterion}")
    passed = sum(criteria.values())
    print(f"\n{passed} passed, {len(criteria) - passed} failed")
    return 0 if passed == len(criteria) else 1


def _succeeded(tasks: list[Task]) -> list[Task]:
    return [task for task in tasks if task.state == "success"]


def _running(tasks: list[Task], pids: set[int]) -> list[Task]:
    return [task for task in tasks if task.state == "running" and task.pid in pids]


if __name__ == "__main__":
    sys.exit(main())
