"""The section about the soak in ``docs/reliability.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version

from dev.faults.page import OVER_TIME
from dev.soak.watch import Growth

_INTRODUCTION = """\
`make soak` has one Airflow with LocalExecutor do the same again and again: every 30 s four
deferrable gates, one that waits in its worker, two monitor runs and two schedule changes. The
service refuses 5 % of the requests. A fifth of the gates and of the monitor runs must fail, with
the verdict. Beside Airflow a hook, kept open in a process of its own, reads something twice a
second. Memory is what is resident in all processes of a part together.
"""

_HEADER = (
    "| | Processes | Memory, first quarter | Last quarter | Open files, first quarter "
    "| Last quarter |",
    "|---|---|---|---|---|---|",
)


def render(minutes: float, counts: Mapping[str, str], growths: Mapping[str, Growth]) -> str:
    """Write the section.

    :param minutes: how long it took.
    :param counts: what was done.
    :param growths: how much each part took.
    :return: Markdown.
    """
    lines = [
        OVER_TIME,
        "",
        _INTRODUCTION,
        f"In {minutes:.0f} minutes with Airflow {version('apache-airflow')}, medians of a sample "
        "every 5 s:",
        "",
        *_HEADER,
        *(_row(name, growth) for name, growth in growths.items()),
        "",
        *_list(counts),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, growth: Growth) -> str:
    memory, more = growth.memory
    files, more_files = growth.files
    return (
        f"| {name} | {growth.processes[1]} | {memory:.0f} MB | {more:.0f} MB | {files} "
        f"| {more_files} |"
    )


def _list(counts: Mapping[str, str]) -> Iterator[str]:
    for name, count in counts.items():
        yield f"- {name}: {count}"
