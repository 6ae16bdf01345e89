"""``docs/performance.md``, out of what was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path

from airflow.providers.http.operators.http import HttpOperator

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from dev.benchmarks import parsing, rate_limit, run, tasks, updates
from dev.benchmarks.figure import (
    BARE,
    FLOOR,
    NAMES,
    ONE_FIELD,
    OURS,
    SAME_FIELDS,
    THEIRS,
    Figure,
)
from dev.benchmarks.requirement import REQUIREMENTS

PATH = Path(__file__).parents[2] / "docs" / "performance.md"

_INTRODUCTION = """\
<!-- Written by `python -m dev.benchmarks`. -->
# What it costs

This provider beside a bare `requests.put` and Airflow's `HttpOperator`, which send the same
update to a service on this machine that answers at once. All of it is measured in one run
(`make bench`) and in turn, A B C A B C; the table shows medians. A ratio is this provider's
value over the other's.

![The figures as bars](images/performance.svg)
"""

_COLUMNS = (OURS, BARE, THEIRS, FLOOR)
_HEADER = (
    f"| | {' | '.join(NAMES[contender] for contender in _COLUMNS)} | found | wanted | held |",
    "|---|---|---|---|---|---|---|---|",
)

_LEGEND = """\
A limit that is *missed as well* by what does less than this provider fails nothing; this provider \
is held to that instead.
"""

_METHOD = f"""\
## How it is measured

- **Import**: fresh processes in which `from airflow.sdk import DAG, BaseOperator` has been done;
  memory is the process's own (USS).
- **1,000 operators**: one DAG, built in memory, and turned into the dictionary that Airflow
  stores. Id, bindings and schedule of this provider's operator are to be filled from the DAG's
  params; the body of `HttpOperator` is a text.
- **One update**: the operator is built and executed: both Airflow connections are read from the
  environment, a network connection is opened, the answer is checked. The bare `requests.put`
  is only told where to and with which key.
- **A kept hook**: one `DatafoldHook` and one `HttpHook` for all updates. `requests.put` opens a
  connection each time, and over TLS reads its CA's file.
- **A whole task**: Airflow's supervisor, in a fresh process, forks the task's process, which
  parses the DAG's file and runs the task; user and system time of both. Only the API server
  behind them is a stand-in.
- **Rate limit**: {rate_limit.PROCESSES} processes build and execute an operator for each of
  {rate_limit.UPDATES} integrations, against a service that counts {rate_limit.PER_SECOND} requests
  in each second (a fixed window, as is usual for FastAPI) and answers any further one with 429 and
  the whole seconds till the next window as `Retry-After`. `max_retries` in the connection's
  extra is {rate_limit.MAX_RETRIES}; with its default of 3 Airflow's own retries would have to
  help. The first window opens at once, so the last one may end up to a second before the ideal.

A median is of {run.PROCESSES} processes, {run.DAGS} DAGs, {run.UPDATES} updates or {run.TASKS}
tasks.
The log is formatted as Airflow does by default, then discarded.
"""


def render(figures: Mapping[str, Figure]) -> str:
    """Write the page.

    :param figures: the figures by name.
    :return: the text of the page.
    """
    rows = [_row(figure) for figure in figures.values()]
    table = "\n".join([*_HEADER, *rows, ""])
    return "\n".join([_INTRODUCTION, table, _LEGEND, _provenance(), _costs(figures), _METHOD])


def _row(figure: Figure) -> str:
    mine = [requirement for requirement in REQUIREMENTS if requirement.figure == figure.name]
    name = f"{figure.name} (floor: {figure.floor})" if figure.floor else figure.name
    cells = [
        name,
        *(figure.shown(contender) for contender in _COLUMNS),
        "<br>".join(requirement.found(figure) for requirement in mine),
        "<br>".join(requirement.wanted(figure) for requirement in mine),
        "<br>".join(requirement.verdict(figure) for requirement in mine),
    ]
    return f"| {' | '.join(cells)} |"


def _provenance() -> str:
    packages = ("requests", "urllib3", "apache-airflow-providers-http")
    return (
        f"Measured on {date.today()} with Airflow {version('apache-airflow')}, "
        f"{', '.join(f'{package} {version(package)}' for package in packages)} and Python "
        f"{platform.python_version()}, on {os.cpu_count()} cores ({platform.system()}, "
        f"{platform.machine()}).\n"
    )


def _costs(figures: Mapping[str, Figure]) -> str:
    return "\n".join(["## What it costs, and where", "", *_findings(figures), ""])


def _findings(figures: Mapping[str, Figure]) -> Iterator[str]:
    literal = figures[parsing.BUILD_LITERAL]
    serialize, quick = figures[parsing.SERIALIZE], figures[parsing.SERIALIZE_SET]
    one, kept = figures[updates.ONE], figures[updates.KEPT_HTTP]
    cpu = figures[tasks.CPU].values
    yield (
        "- **Import**: neither `requests` nor `croniter` nor the hook is loaded by a DAG file, and "
        "the link only when Airflow asks for it; the tests see to that. What is left is the "
        "classes themselves, which Airflow prepares one by one."
    )
    yield (
        f"- **Building**: an operator has a single constructor, because Airflow wraps that of "
        f"every base class, too. Airflow looks for XComs in the fields: where `bindings` is a list "
        f"in the DAG's code instead of a text that params fill, building takes "
        f"{literal.values[OURS] / literal.values[FLOOR]:.3g} of `EmptyOperator`."
    )
    yield (
        f"- **Serializing**: for each template field of each operator Airflow looks up "
        f"`max_templated_field_length` in its configuration, and `EmptyOperator` has no such "
        f"field. An operator without code takes "
        f"{serialize.values[ONE_FIELD] / serialize.values[FLOOR]:.3g} times as long when it has "
        f"one, and {serialize.values[SAME_FIELDS]:.0f} ms with the "
        f"{len(DatafoldUpdateHightouchOperator.template_fields)} that this provider's operator "
        f"has. `HttpOperator`, with {len(HttpOperator.template_fields)}, takes "
        f"{serialize.values[THEIRS]:.0f} ms. Where the setting is in the environment, the look-up "
        f"is short: with `{'='.join(parsing.SETTING)}` there, {serialize.values[OURS]:.0f} ms "
        f"become {quick.values[OURS]:.0f}, and those of `HttpOperator` "
        f"{quick.values[THEIRS]:.0f}."
    )
    yield (
        f"- **An update**: with everything new it takes {one.values[OURS]:.2f} ms, in which both "
        f"connections are read, all fields checked and the outcome logged; `HttpOperator` takes "
        f"{one.values[THEIRS]:.2f} ms. An operator of ten lines that only reads the connections "
        f"and calls `requests.put` takes {one.values[FLOOR]:.2f} ms, which is "
        f"{one.values[FLOOR] / one.values[BARE]:.3g} of `requests.put` alone."
    )
    yield (
        f"- **A kept hook**: {kept.values[OURS]:.2f} ms, where a kept `requests.Session` takes "
        f"{kept.values[FLOOR]:.2f} ms without any check. The hook prepares a request by itself, "
        f"because a session first merges cookies, parameters and hooks, which no call has."
    )
    yield (
        f"- **A task**: {cpu[FLOOR]:,.0f} ms of CPU are Airflow's own, for a task that does "
        f"nothing; with this provider it is {cpu[OURS]:,.0f} ms, with `HttpOperator` "
        f"{cpu[THEIRS]:,.0f} ms. Whatever sends with `requests` has to import it."
    )
