"""The section about the soak in ``docs/reliability.md``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from dev.faults.page import OVER_TIME
from dev.harness.growth import Growth, Sample

_INTRODUCTION = """\
`make soak` has one Airflow with LocalExecutor do the same again and again: every 30 s four
deferrable gates, one that waits in its worker, two monitor runs and two schedule changes. The
service refuses 5 % of the requests. A fifth of the gates and of the monitor runs must fail, with
the verdict. Beside Airflow a hook, kept open in a process of its own, reads something twice a
second. Memory is what is resident in all processes of a part together.
"""

_HEADER = (
    "| | Processes | Memory, first quarter | Last quarter | Open files, first quarter "
    "| Last quarter |\n"
    "|---|---|---|---|---|---|"
)


def render(minutes: float, counts: Mapping[str, str], growths: Mapping[str, Growth]) -> str:
    """Write the section: how long it took, what was done, and how much each part took."""
    lines = [
        OVER_TIME,
        "",
        _INTRODUCTION,
        f"In {minutes:.0f} minutes with Airflow {version('apache-airflow')}, medians of a sample "
        "every 5 s:",
        "",
        _HEADER,
        *(_row(name, *growth) for name, growth in growths.items()),
        "",
        *(f"- {name}: {count}" for name, count in counts.items()),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, first: Sample, last: Sample) -> str:
    return (
        f"| {name} | {last.processes:.0f} | {first.memory:.0f} MB | {last.memory:.0f} MB "
        f"| {first.files:.0f} | {last.files:.0f} |"
    )
