"""``docs/performance.md``, written from the figures."""

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
    EMPTY,
    FLOOR,
    NAMES,
    OURS,
    THEIRS,
    Figure,
)
from dev.benchmarks.requirement import REQUIREMENTS, missed

PATH = Path(__file__).parents[2] / "docs" / "performance.md"

_INTRODUCTION = """\
<!-- Written by `python -m dev.benchmarks`. -->
# What it costs

This page compares this provider with a bare `requests.put` and Airflow's `HttpOperator`. All three
send the same update to a service on this machine that responds at once. One run (`make bench`)
measures everything in turn, A B C A B C, and the table shows medians. A ratio is this provider's
value over the other's. Each row names its floor, the least that it could cost.

![The figures as bars](images/performance.svg)
"""

_COLUMNS = (OURS, BARE, THEIRS, FLOOR)
_HEADER = (
    f"| | {' | '.join(NAMES[contender] for contender in _COLUMNS)} | found | at most | met |",
    "|---|---|---|---|---|---|---|---|",
)

_ALL_MET = "This provider keeps every limit."

_METHOD = f"""\
## How it is measured

- **Import**: each measurement is a fresh process that has done
  `from airflow.sdk import DAG, BaseOperator, BaseSensorOperator` before. Memory is the process's
  own (USS).
- **1,000 operators**: the run builds one DAG in memory, and turns it into the dictionary that
  Airflow stores. The DAG's params fill id, bindings and schedule of this provider's operator; the
  body of `HttpOperator` is a text. The operator without code has the template fields of this
  provider's operator, and nothing else.
- **One update**: the run builds and executes the operator, which reads both Airflow connections
  from the environment, opens a network connection and checks the response. The ten lines by hand
  are an operator that reads the same two connections and calls `requests.put`. The bare
  `requests.put` only gets an address and a key.
- **A kept hook**: one `DatafoldHook` and one `HttpHook` send all updates. `requests.put` opens a
  connection each time, and over TLS reads the CA's file.
- **A whole task**: Airflow's supervisor, in a fresh process, forks the task's process, which
  parses the DAG's file and runs the task. The figure is user and system time of both. Only the API
  server behind them is a stand-in.
- **Rate limit**: {rate_limit.PROCESSES} processes build and execute an operator for each of
  {rate_limit.UPDATES} integrations. The service allows {rate_limit.PER_SECOND} requests in each
  second (a fixed window, as is usual for FastAPI). It responds to any further one with 429 and the
  whole seconds until the next window as `Retry-After`. `max_retries` in the connection's extra is
  {rate_limit.MAX_RETRIES}; with the default of 3, Airflow's own retries would have to help. The
  first window opens at once, so that the last one may end up to a second before the ideal.

Each median is of {run.PROCESSES} processes, {run.DAGS} DAGs, {run.UPDATES} updates or {run.TASKS}
tasks. The run formats the log as Airflow does by default, then discards it.
"""


def render(figures: Mapping[str, Figure]) -> str:
    """Return the page.

    :param figures: the figures by name.
    :return: the text of the page.
    """
    rows = [_row(figure) for figure in figures.values()]
    table = "\n".join([*_HEADER, *rows, ""])
    held = "\n".join([*(missed(figures) or [_ALL_MET]), ""])
    return "\n".join([_INTRODUCTION, table, held, _provenance(), _costs(figures), _METHOD])


def _row(figure: Figure) -> str:
    mine = [requirement for requirement in REQUIREMENTS if requirement.figure == figure.name]
    name = f"{figure.name} (floor: {figure.floor})" if figure.floor else figure.name
    cells = [
        name,
        *(figure.shown(contender) for contender in _COLUMNS),
        "<br>".join(requirement.found(figure) for requirement in mine),
        "<br>".join(requirement.limit(figure) for requirement in mine),
        "<br>".join("yes" if requirement.is_met(figure) else "**no**" for requirement in mine),
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
        "- **Import**: a DAG file loads neither `requests` nor `croniter` nor the hook, and "
        "Airflow loads the link only when it needs it; the tests check that. The classes "
        "themselves remain, which Airflow prepares one by one."
    )
    yield (
        f"- **Building**: an operator has a single constructor, because Airflow wraps the "
        f"constructor of every base class, too. Airflow looks for XComs in the fields: where "
        f"`bindings` is a list in the DAG's code instead of a text that params fill, building "
        f"takes {literal.values[OURS] / literal.values[FLOOR]:.3g} of `EmptyOperator`."
    )
    yield (
        f"- **Serializing**: for each template field of each operator, Airflow looks up "
        f"`max_templated_field_length` in its configuration. An operator without code takes "
        f"{serialize.values[FLOOR]:.0f} ms when it has the "
        f"{len(DatafoldUpdateHightouchOperator.template_fields)} template fields of this "
        f"provider's operator. `HttpOperator`, with {len(HttpOperator.template_fields)}, takes "
        f"{serialize.values[THEIRS]:.0f} ms, and `EmptyOperator`, with none, "
        f"{serialize.values[EMPTY]:.0f} ms. The look-up is short where the environment has the "
        f"setting: with `{'='.join(parsing.SETTING)}`, this provider's operator takes "
        f"{quick.values[OURS]:.0f} ms instead of {serialize.values[OURS]:.0f} ms, and "
        f"`HttpOperator` {quick.values[THEIRS]:.0f} ms."
    )
    yield (
        f"- **An update**: with everything new, this provider takes {one.values[OURS]:.2f} ms. It "
        f"reads both connections, checks all fields and logs the outcome. `HttpOperator` takes "
        f"{one.values[THEIRS]:.2f} ms. Ten lines by hand, which read the same connections and "
        f"check nothing, take {one.values[FLOOR]:.2f} ms."
    )
    yield (
        f"- **A kept hook**: an update takes {kept.values[OURS]:.2f} ms. A kept `requests.Session` "
        f"takes {kept.values[FLOOR]:.2f} ms without any check. The hook prepares a request by "
        f"itself, because a session first merges cookies, parameters and hooks, which no call has."
    )
    yield (
        f"- **A task**: Airflow itself takes {cpu[FLOOR]:,.0f} ms of CPU for a task that does "
        f"nothing. A task of this provider takes {cpu[OURS]:,.0f} ms, one of `HttpOperator` "
        f"{cpu[THEIRS]:,.0f} ms. Whatever sends with `requests` has to import it."
    )
