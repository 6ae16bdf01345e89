"""What goes wrong during the run, besides a service that refuses calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dev.cluster.deployment import Cluster
from dev.cluster.metadata import Metadata, Task
from dev.cluster.plan import GATE
from dev.cluster.service import Service
from dev.local_airflow.programs import Program, Programs

CUT = 5.0
"""Seconds without the database."""

_DONE_BEFORE = 10
_TASKS_TO_HIT, _TRIGGERS_TO_HIT = 2, 4


@dataclass(frozen=True)
class Disturbances:
    """Kills and cuts; each waits until it hurts.

    :param programs: all programs of the run.
    :param cluster: Airflow.
    :param metadata: Airflow's database.
    :param service: Datafold.
    :param say: prints what was done.
    """

    programs: Programs
    cluster: Cluster
    metadata: Metadata
    service: Service
    say: Callable[[str], None]

    def kill_worker(self, victim: Program) -> int:
        """Kill a worker in which gates wait for their data diffs, and start another one.

        :param victim: the worker.
        :return: how many tasks ran on it.
        """

        def is_mid_run() -> bool:
            tasks = self.metadata.tasks()
            running = _running(tasks, victim.pids())
            made = self.service.diffs()
            return (
                sum(task.state == "success" for task in tasks) >= _DONE_BEFORE
                and len(running) >= _TASKS_TO_HIT
                and any(task.key.task_id == GATE and task.key in made for task in running)
            )

        self._until("gates waited in a worker", is_mid_run)
        pids = self.programs.kill(victim)
        hit = _running(self.metadata.tasks(), pids)
        names = ", ".join(sorted(task.key.task_id for task in hit))
        self.say(f"{victim.command.name} was killed, with {len(pids)} processes: {names}")
        self.say(f"{self.cluster.start_worker().command.name} was started")
        return len(hit)

    def kill_triggerer(self, victim: Program, job: int) -> int:
        """Kill a triggerer, and leave its triggers to the other one.

        :param victim: the triggerer.
        :param job: the id of its job.
        :return: how many triggers it had.
        """
        self._until(
            "a triggerer had triggers", lambda: self.metadata.triggers()[job] >= _TRIGGERS_TO_HIT
        )
        self.programs.kill(victim)
        hit = self.metadata.triggers()[job]
        self.say(f"{victim.command.name} was killed: it had {hit} triggers")
        self._until("the other triggerer had them", lambda: not self.metadata.triggers()[job])
        self.say("the other triggerer has them")
        return hit

    def cut_database(self) -> int:
        """Cut the connections to the database, while tasks run and wait.

        :return: how many connections there were.
        """

        def is_mid_run() -> bool:
            running = sum(task.state == "running" for task in self.metadata.tasks())
            triggers = self.metadata.triggers().total()
            return running >= _TASKS_TO_HIT and triggers >= _TRIGGERS_TO_HIT

        self._until("tasks ran and waited", is_mid_run)
        connections = self.metadata.cut(CUT)
        self.say(f"the database was away for {CUT:g} s: {connections} connections were cut")
        return connections

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        # Nobody can hit any more what has ended; that is counted in the end.
        self.programs.until(what, lambda: condition() or self.metadata.has_ended(), every=1.0)


def _running(tasks: list[Task], pids: set[int]) -> list[Task]:
    return [task for task in tasks if task.state == "running" and task.pid in pids]
