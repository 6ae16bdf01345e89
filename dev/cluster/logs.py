"""What a run has written: verdicts in the tasks' logs, and secrets anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from dev.cluster.plan import Key
from dev.faults import leak

_VERDICTS = re.compile(
    r"(?:Data diff|Run) (\d+)(?: of monitor \d+)? (passes|differs|ended with an alert)\b"
)


def secrets(texts: Iterable[str]) -> tuple[int, int]:
    """Look for the planted secrets.

    :param texts: where to look.
    :return: how many places were looked at, and how many secrets were found.
    """
    counts = [leak.count(text) for text in texts]
    return len(counts), sum(counts)


def texts(folder: Path) -> Iterable[str]:
    """Read all logs.

    :param folder: where they are, in folders of their own, too.
    """
    return (path.read_text(errors="replace") for path in folder.rglob("*.log"))


def verdicts(logs: Path, task: Key) -> set[tuple[int, bool]]:
    """Return the jobs that a task has judged, and whether it let them pass.

    :param logs: the folder of all tasks' logs of a DAG.
    :param task: the task.
    """
    folder = logs / f"run_id={task.run}" / f"task_id={task.task_id}" / f"map_index={task.index}"
    return {
        (int(number), verdict == "passes")
        for text in texts(folder)
        for number, verdict in _VERDICTS.findall(text)
    }
