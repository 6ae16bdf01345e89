"""``docs/reliability.md``, out of what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from dev.faults.fault import Fault
from dev.faults.outcome import MEMORY, masked, shortcoming
from dev.faults.run import OURS, THEIRS, TIMEOUT, Measurement
from dev.faults.runner import Trial
from dev.faults.table import FAULTS

PATH = Path(__file__).parents[2] / "docs" / "reliability.md"

_VERSIONS = "Measured with "

_INTRODUCTION = f"""\
<!-- Written by `python -m dev.faults`. -->
# On a bad day

What comes of a task when the API, the network or the worker misbehaves. Each row below is a
fault that a service on real sockets of this machine makes, and that
`DatafoldUpdateHightouchOperator.execute` runs into, with the connection's default of three
retries and a `timeout` of {TIMEOUT:g} s in place of 30. What a row says of it is declared in
`faults/table.py` and measured; seconds are an upper limit.

```
python -m dev.faults          # measure, write this page
python -m dev.faults --check  # measure, compare with the declarations and with this page
```

The last two columns are Airflow's own `HttpOperator` under the same faults, with the same body
and header, `timeout` and CA, and else as it comes. A fault counts as handled where

- the task ends as in the third column: it succeeds, fails for good, or fails so that Airflow
  may retry it (where a redirect keeps method and body on the same host, and where an answer is
  nearly JSON, success counts too),
- within the seconds of the row and {MEMORY:g} MB of memory,
- without the API key or the Hightouch token in the log, the exception or the result, where
  Airflow's own masking is off,
- and with nothing sent to another host.

How the error is worded does not count, nor does how often a request is sent. Where a fault
passes, the operator alone has to get over it: a task that fails first and is mended by Airflow's
`retries`, if it has any, costs at least the `retry_delay`, five minutes by default.
"""

_HEADER = (
    "| | What the service does | What the task does | Requests | Seconds at most "
    "| May Airflow retry? | `HttpOperator` | Handled by it? |",
    "|---|---|---|---|---|---|---|---|",
)


def render(measurements: Mapping[Trial, Measurement]) -> str:
    """Write the page.

    :param measurements: of every fault, with both operators, ours as declared.
    :return: Markdown.
    """
    rows = [_row(fault, measurements[fault.name, THEIRS]) for fault in FAULTS]
    return "\n".join([_INTRODUCTION, *_totals(measurements), "", *_HEADER, *rows, ""])


def changes(old: str, new: str) -> Iterator[str]:
    """Compare two pages.

    :param old: Markdown.
    :param new: Markdown.
    :return: each line that only one of them has, but for the one that names versions.
    """
    for mark, lines, others in (("-", old, new), ("+", new, old)):
        known = set(others.splitlines())
        for line in lines.splitlines():
            if line not in known and not line.startswith(_VERSIONS):
                yield f"{mark} {line}"


def _totals(measurements: Mapping[Trial, Measurement]) -> Iterator[str]:
    of = len(FAULTS)
    theirs = [(fault, measurements[fault.name, THEIRS]) for fault in FAULTS]
    reasons = Counter(shortcoming(fault, found) for fault, found in theirs)
    handled = {
        operator: sum(
            not shortcoming(fault, measurements[fault.name, operator]) for fault in FAULTS
        )
        for operator in (OURS, THEIRS)
    }
    with_masking = sum(not shortcoming(fault, masked(found)) for fault, found in theirs)
    secrets = {
        operator: sum(sum(measurements[fault.name, operator].secrets.values()) for fault in FAULTS)
        for operator in (OURS, THEIRS)
    }
    yield (
        f"**Handled: this provider {handled[OURS]} of {of}, `HttpOperator` {handled[THEIRS]} of "
        f"{of}** ({with_masking} where Airflow's masking knows both secrets, as it does when "
        f"they come out of Airflow connections)."
    )
    yield ""
    yield (
        f"Secrets found in all logs from DEBUG on, exceptions, results and requests to other "
        f"hosts: this provider {secrets[OURS]}, `HttpOperator` {secrets[THEIRS]}."
    )
    yield ""
    yield "What `HttpOperator` does with the others:"
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
    """Write the part of a row that is declared, not measured.

    :param fault: the fault.
    :return: the row's beginning, up to what is said of ``HttpOperator``.
    """
    ending = fault.ending
    outcome = f"fails: {ending.words} (`{ending.error}`)" if ending.error else ending.words
    cells = (
        f"`{fault.name}`",
        fault.service,
        outcome,
        str(fault.requests),
        f"{fault.seconds:g}",
        "" if not ending.error else "yes" if ending.airflow_may_retry else "no",
    )
    return f"| {' | '.join(cells)} |"


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
        words += f"; takes more than {MEMORY:g} MB"
    places = [place for place in ("log", "exception", "result") if found.secrets[place]]
    return f"{words}; a secret in the {' and the '.join(places)}" if places else words
