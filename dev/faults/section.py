"""Write the part of ``docs/reliability.md`` about tasks that wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dev.faults.fault import Ending
from dev.faults.wait import DATA_DIFF, MODES, MONITOR_RUN, Wait
from dev.faults.waiting import Waited, differences
from dev.faults.waits import WAITS

TITLE = "## While waiting"

_INTRODUCTION = f"""\
{TITLE}

What becomes of a task that starts a job, waits for it and meets a fault on the way, and of the job.
Each row was measured with everyone who can wait: the *worker* (an operator as it is by default),
the *triggerer* (an operator with `deferrable=True`: the trigger runs in an event loop, then the
task goes on in a worker), the *sensor* (`mode="poke"`) and the *deferred sensor*. Sensors wait for
what something else started: they make nothing and cancel nothing, and what a row says of jobs does
not concern them.

The service plays a job that ends when it is read for the third time, and misbehaves once unless
the row says otherwise. Where the first try fails so that Airflow may retry it, a second try follows
with a service that is well again; the requests are those of both. Where none are given, their
number depends on time. What a row says is declared in `dev/faults/waits.py`.

Without a fault a data diff takes the worker 4 requests, the triggerer 6, the sensor 3 and the
deferred sensor 4; a monitor run takes 5, 6, 3 and 4.
"""

_HEADER = (
    "| | Where | What the service does | What the task does | Made | Cancelled | Left running "
    "| Who waits, with how many requests |",
    "|---|---|---|---|---|---|---|---|",
)
_HEADINGS = {DATA_DIFF: "### Data diffs", MONITOR_RUN: "### Monitor runs"}
_FURTHER = {
    DATA_DIFF: "A data diff is left running only where nobody lets the task cancel it.",
    MONITOR_RUN: (
        "Datafold cannot cancel a monitor run, and a run has no tag by which a retry could find "
        "it: so some are left running, and two are made where the first try fails."
    ),
}

Waits = Mapping[tuple[str, str], Waited]


def render(found: Waits) -> str:
    """Write the section.

    :param found: what was measured, by the names of the rows and who waits.
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
    trials = {mode: [wait for wait in WAITS if mode in wait.modes] for mode in MODES}
    held = ", ".join(
        f"{mode} {sum(_holds(wait, mode, found) for wait in waits)} of {len(waits)}"
        for mode, waits in trials.items()
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
