"""Write the part of ``docs/reliability.md`` about tasks that wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dev.faults.fault import Ending
from dev.faults.wait import DATA_DIFF, MODES, MONITOR_RUN, Wait
from dev.faults.wait_measurement import Waited, differences
from dev.faults.wait_table import WAITS

TITLE = "## While waiting"

_INTRODUCTION = f"""\
{TITLE}

This section shows what happens to a task and to its job if a fault occurs while the task starts the
job and waits for it. Each row was measured in the modes that it names:

- *worker*: an operator with its defaults
- *triggerer*: an operator with `deferrable=True`: its trigger runs in an event loop, then the task
  continues in a worker
- *sensor*: a sensor with `mode="poke"`
- *deferred sensor*: a sensor with `deferrable=True`

Sensors wait for a job that something else started. They make no job and cancel none, so the columns
about jobs do not apply to them.

The service simulates a job that ends when it is read for the third time. It misbehaves once unless
the row says otherwise. If the first try fails so that Airflow may retry it, a second try follows
while the service works normally; the number of requests covers both tries. It is missing where it
depends on time. Half a second stands for the minute after which 403 and 404 are final.
`dev/faults/wait_table.py` declares the expected outcomes.

Without a fault a data diff takes 4 requests in the worker, 6 in the triggerer, 3 in the sensor and
4 in the deferred sensor; a monitor run takes 5, 6, 3 and 4.
"""

_HEADER = (
    "| | Where | What the service does | What the task does | Made | Cancelled | Left running "
    "| Modes, with the number of requests |",
    "|---|---|---|---|---|---|---|---|",
)
_HEADINGS = {DATA_DIFF: "### Data diffs", MONITOR_RUN: "### Monitor runs"}
_FURTHER = {
    DATA_DIFF: "A data diff is left running only if the service does not let the task cancel it.",
    MONITOR_RUN: (
        "Datafold cannot cancel a monitor run, and a run has no tag by which a retry could find "
        "it. So some are left running, and two are made if the first try fails."
    ),
}

Waits = Mapping[tuple[str, str], Waited]


def render(found: Waits) -> str:
    """Write the section.

    :param found: the measurements, by the name of the row and the mode.
    :return: Markdown.
    """
    return "\n".join([_INTRODUCTION, _total(found), *_tables(), ""])


def declared(wait: Wait) -> str:
    """Write a row.

    :param wait: the fault.
    """
    cells = (
        f"`{wait.name}`",
        wait.place.value,
        wait.service,
        _words(wait.ending),
        str(wait.made),
        str(wait.cancelled),
        str(wait.left),
        ", ".join(f"{mode} {wait.requests.get(mode, '')}".strip() for mode in wait.modes),
    )
    return f"| {' | '.join(cells)} |"


def _total(found: Waits) -> str:
    runs = {mode: [wait for wait in WAITS if mode in wait.modes] for mode in MODES}
    held = ", ".join(
        f"{mode} {sum(_holds(wait, mode, found) for wait in waits)} of {len(waits)}"
        for mode, waits in runs.items()
    )
    secrets = sum(one.secrets for one in found.values())
    return f"**As declared: {held}.** Secrets found in logs, exceptions and results: {secrets}."


def _holds(wait: Wait, mode: str, found: Waits) -> bool:
    return not list(differences(wait, mode, found[wait.name, mode]))


def _tables() -> Iterator[str]:
    for job, heading in _HEADINGS.items():
        yield from ("", heading, "", _FURTHER[job], "", *_HEADER)
        yield from (declared(wait) for wait in WAITS if wait.job == job)


def _words(ending: Ending) -> str:
    if not ending.error:
        return ending.words
    words = f"fails: {ending.words} (`{ending.error}`)"
    return f"{words}; the retry succeeds" if ending.airflow_may_retry else words
