"""What the tasks' logs say of the jobs that they waited for."""

from __future__ import annotations

import re
from pathlib import Path

from dev.cluster.plan import Key

_VERDICTS = re.compile(
    r"(?:Data diff|Run) (\d+)(?: of monitor \d+)? (passes|differs|ended with an alert)\b"
)


def verdicts(logs: Path, task: Key) -> set[tuple[int, bool]]:
    """Return the jobs that a task has judged, and whether it let them pass.

    :param logs: the folder of all tasks' logs of a DAG.
    :param task: the task.
    """
    folder = logs / f"run_id={task.run}" / f"task_id={task.task_id}" / f"map_index={task.index}"
    return {
        (int(number), verdict == "passes")
        for path in folder.glob("attempt=*.log")
        for number, verdict in _VERDICTS.findall(path.read_text(errors="replace"))
    }
