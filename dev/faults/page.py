"""Write ``docs/reliability.md`` from the measurements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from dev.faults import section
from dev.faults.fault import Ending, Fault
from dev.faults.measurement import DRIVERS, THEIRS, TIMEOUT, Measurement
from dev.faults.outcome import MEMORY, masked, shortcoming
from dev.faults.processes import Run
from dev.faults.table import FAULTS

PATH = Path(__file__).parents[2] / "docs" / "reliability.md"

"""The title of the last section, which the soak writes."""
_VERSIONS = "Measured with "

_INTRODUCTION = f"""\
<!-- Written by `python -m dev.faults`. -->
# Reliability

This page shows what a task does when the API, the network or the worker misbehaves. Each row below
is a fault, caused by a service on real sockets of one machine. The task runs with the connection's
default of three retries, and with a `timeout` of {TIMEOUT:g} s instead of 30. Faults
[while a task waits](#while-waiting) have their own tables.

Every row holds in a worker, where `DatafoldUpdateHightouchOperator.execute` was measured, and in an
event loop, where the same client made the same update as a trigger would. `dev/faults/table.py`
declares the expected outcomes; the seconds are an upper limit.

```
python -m dev.faults          # measure, write this page
python -m dev.faults --check  # measure, compare with the declarations and with this page
```

`python -m dev.faults --ours` measures the provider and the waits, without `HttpOperator`.
`make reliability-all` does so with each Airflow that the provider supports.

The last two columns show Airflow's own `HttpOperator` under the same faults, with the same body,
header, `timeout` and CA, and otherwise with its defaults. It handles a fault if

- the task ends as in the third column: it succeeds, fails for good, or fails so that Airflow
  may retry it (success also counts if a redirect keeps method and body on the same host, and if
  a client that does not parse the response can see that the update was made),
- it ends within the seconds of the row and uses at most {MEMORY:g} MB of memory,
- the log, the exception and the result contain neither the API key nor the Hightouch token, with
  Airflow's own masking off,
- and it sends nothing to another host.

The text of the error and the number of requests do not count. The operator itself must overcome a
temporary fault: if the task fails and Airflow retries it, that takes at least the `retry_delay`,
five minutes by default.
"""

_HEADER = (
    "| | What the service does | What the task does | Requests | Seconds at most "
    "| May Airflow retry? | `HttpOperator` | Handled by it? |",
    "|---|---|---|---|---|---|---|---|",
)


def render(measurements: Mapping[Run, Measurement], waits: section.Waits) -> str:
    """Write the page.

    :param measurements: of every fault, in a worker, in an event loop and by ``HttpOperator``.
    :param waits: of every fault while a task waits, by who waits.
    :return: Markdown.
    """
    rows = [_row(fault, measurements[fault.name, THEIRS]) for fault in FAULTS]
    faults = [_INTRODUCTION, *_totals(measurements), "", *_HEADER, *rows, ""]
    return "\n".join([*faults, section.render(waits)])


def changes(old: str, new: str) -> Iterator[str]:
    """Compare two pages.

    :param old: Markdown.
    :param new: Markdown.
    :return: each line that only one of them has, except the line with the versions.
    """
    for mark, lines, others in (("-", old, new), ("+", new, old)):
        known = set(others.splitlines())
        for line in lines.splitlines():
            if line not in known and not line.startswith(_VERSIONS):
                yield f"{mark} {line}"


def _totals(measurements: Mapping[Run, Measurement]) -> Iterator[str]:
    of = len(FAULTS)
    theirs = [(fault, measurements[fault.name, THEIRS]) for fault in FAULTS]
    reasons = Counter(shortcoming(fault, found) for fault, found in theirs)
    handled = {
        operator: sum(
            not shortcoming(fault, measurements[fault.name, operator]) for fault in FAULTS
        )
        for operator in (*DRIVERS, THEIRS)
    }
    with_masking = sum(not shortcoming(fault, masked(found)) for fault, found in theirs)
    secrets = {
        operator: sum(sum(measurements[fault.name, operator].secrets.values()) for fault in FAULTS)
        for operator in (*DRIVERS, THEIRS)
    }
    ours = min(handled[driver] for driver in DRIVERS)
    yield (
        f"**Handled: this provider {ours} of {of}, in a worker and in an event loop, "
        f"`HttpOperator` {handled[THEIRS]} of {of}** "
        f"({with_masking} if Airflow's masking knows both secrets, as it does if they come from "
        f"Airflow connections)."
    )
    yield ""
    yield (
        f"Secrets found in all logs from DEBUG on, exceptions, results and requests to other "
        f"hosts: this provider {sum(secrets[driver] for driver in DRIVERS)}, `HttpOperator` "
        f"{secrets[THEIRS]}."
    )
    yield ""
    yield "What `HttpOperator` does under the other faults:"
    yield ""
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        if reason:
            yield f"- {count}: {reason}"
    yield ""
    yield (
        f"{_VERSIONS}Airflow {version('apache-airflow')} and "
        f"apache-airflow-providers-http {version('apache-airflow-providers-http')}."
    )


def declared(fault: Fault) -> str:
    """Write the declared part of a row.

    :param fault: the fault.
    :return: the row up to the columns of ``HttpOperator``.
    """
    ending = fault.ending
    endings = [ending] if fault.or_else is None else [ending, fault.or_else]
    outcome = " or ".join(_words(one) for one in endings)
    cells = (
        f"`{fault.name}`",
        fault.service,
        outcome,
        str(fault.requests),
        f"{fault.seconds:g}",
        "" if not ending.error else "yes" if ending.airflow_may_retry else "no",
    )
    return f"| {' | '.join(cells)} |"


def _words(ending: Ending) -> str:
    return f"fails: {ending.words} (`{ending.error}`)" if ending.error else ending.words


def _row(fault: Fault, theirs: Measurement) -> str:
    lacks = shortcoming(fault, theirs)
    handled = f"no: {lacks}" if lacks else "yes"
    return f"{declared(fault)} {_described(fault, theirs)} | {handled} |"


def _described(fault: Fault, found: Measurement) -> str:
    if not found.ended:
        return f"still runs after {fault.seconds:g} s"
    if found.ended == "success":
        words = "succeeds"
    elif found.airflow_may_retry:
        words = f"fails, Airflow may retry (`{found.ended}`)"
    else:
        words = f"fails for good (`{found.ended}`)"
    if found.elsewhere:
        words += f"; sends {'a secret' if found.secrets['other host'] else 'a request'} elsewhere"
    if found.memory > MEMORY:
        words += f"; uses more than {MEMORY:g} MB"
    places = [place for place in ("log", "exception", "result") if found.secrets[place]]
    return f"{words}; a secret in the {' and the '.join(places)}" if places else words
