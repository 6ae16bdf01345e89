"""``docs/performance.md``, written from the figures."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from airflow.providers.http.operators.http import HttpOperator

from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator
from dev.benchmarks import jobs, parsing, rate_limit, run, tasks, updates, waits
from dev.benchmarks.figure import (
    BARE,
    DBT,
    DBT_SHIPPED,
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
value over the other's. Each row names its floor, the least that it could cost. A
[second table](#a-thousand-waits) shows what waiting costs, beside Airflow's `dbt-cloud` provider.

![The figures as bars](images/performance.svg)
"""

_COLUMNS = (OURS, BARE, THEIRS, FLOOR)
_WAITING_COLUMNS = (OURS, DBT, DBT_SHIPPED)

_WAITING = f"""\
## A thousand waits

1,000 deferred tasks wait for jobs of {jobs.SHORTEST:.0f} to {jobs.LONGEST:.0f} s in one event loop,
as in a triggerer. Airflow's `dbt-cloud` provider waits for the same jobs, as shipped (it polls
every 60 s, always over https) and with a poll every 2 s. "Noticed late" is the time from the end of
a job until its trigger fires, as a share of the job's length.

![How late the end of a job is noticed, and the polls that it took](images/performance-waiting.svg)
"""

_ALL_MET = "This provider keeps every limit."

_ONE_LOOK = """\
- **Turns**: the triggers of one Airflow connection have at most 50 requests under way in an event
  loop. A thousand that begin together would hold up the loop and take memory all at once. None
  waits for its turn longer than the connection's `timeout`, or than its own deadline. A cancel
  waits for no turn.
- **Kept connections**: over https the handshake is most of what a poll with a connection of its own
  costs. So the triggers of one Airflow connection share some, and take the one that was used last:
  few are in use once the first polls are done, and those that are not used for 5 s are closed, like
  all of them with the last trigger. A response over a kept connection counts only if it names the
  job; otherwise, and if the connection has died, the poll is sent again over a new one. Sockets are
  read only while a response is due, and one that has anything to read before is closed. That is why
  neither `httpx` nor `httpcore` is used: what they have read ahead cannot be seen. So bytes that a
  service sends unasked are not taken for a response if they are there before the next request, or
  are about another job. A second response about the same job that arrives after the next request is
  taken for the response to it: HTTP/1.1 cannot tell them apart. Lists of CI runs name no job, and
  get a new connection each.
- **Floods**: a service or a proxy that sends without end, as fast as it is read, holds up neither
  the other triggers nor the deadline of its request: others have their turn after each piece of at
  most 64 KiB, and while one of many parts is read. A response with a hundred interim responses, or
  with more than 10,000 chunks and one for each 16 bytes, counts as broken.
- **Look-ups**: all polls that wait for the address of a host share one look-up, in a thread of its
  own, and use the addresses for 10 s. asyncio has six threads on two cores for all look-ups of a
  triggerer: if those of one host hang, all others wait.
- **One listing for all waits** was weighed and not built. A page of 100 diffs is 220 KB. Reading it
  takes as long as reading 100 single diffs, in one piece, and spares 99 connections. The listing is
  of the whole account, so that a long job moves to ever later pages. Monitor runs, CI runs and
  tests of data sources have none. A task that reads for all needs starting, stopping and
  replacing. A thousand long jobs take few enough requests without it."""

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

- **A thousand waits**: each contender has a fresh process with one event loop, which starts the
  triggers one after the other, as Airflow's triggerer does, and a service in another process that
  shows the same job as a data diff or as a dbt Cloud run of about as many bytes. A job begins when
  it is looked at first. The lengths come from a fixed seed; the logarithm of the length is spread
  evenly, where the row does not say that the length is. Lag is by how much a pause of 20 ms was too
  long. Memory is what the process's resident memory grew by at most, after one wait that loaded
  everything. `dbt-cloud` has no setting for plain http, so that the run changes its URL.
- **Jobs of 6 hours**: polls, lateness and requests a second follow from the polling rule; the last
  row multiplies them by the CPU of a poll over https. As a check, {waits.FEW} such jobs were waited
  for with a clock that runs {waits.TIMES} times as fast.

Each median is of {run.PROCESSES} processes, {run.DAGS} DAGs, {run.UPDATES} updates or {run.TASKS}
tasks; of the waits there is one run each. The run formats the log as Airflow does by default, then
discards it.
"""


def render(figures: Mapping[str, Figure]) -> str:
    """Return the page.

    :param figures: the figures by name.
    :return: the text of the page.
    """
    waited = [figures[name] for name in waits.NAMES]
    rows = [_row(figure, _COLUMNS) for figure in figures.values() if figure not in waited]
    waiting = [_row(figure, _WAITING_COLUMNS) for figure in waited]
    table = "\n".join([*_header(_COLUMNS), *rows, ""])
    held = "\n".join([*(missed(figures) or [_ALL_MET]), ""])
    waiting_table = "\n".join([*_header(_WAITING_COLUMNS), *waiting, ""])
    return "\n".join(
        [
            *(_INTRODUCTION, table, _WAITING, waiting_table, held, _provenance()),
            *(_costs(figures), _METHOD),
        ]
    )


def _header(columns: tuple[str, ...]) -> tuple[str, str]:
    names = " | ".join(NAMES[contender] for contender in columns)
    return f"| | {names} | found | at most | met |", f"|{'---|' * (len(columns) + 4)}"


def _row(figure: Figure, columns: tuple[str, ...]) -> str:
    mine = [requirement for requirement in REQUIREMENTS if requirement.figure == figure.name]
    name = f"{figure.name} (floor: {figure.floor})" if figure.floor else figure.name
    cells = [
        name,
        *(figure.shown(contender) for contender in columns),
        "<br>".join(requirement.found(figure) for requirement in mine),
        "<br>".join(requirement.limit(figure) for requirement in mine),
        "<br>".join("yes" if requirement.is_met(figure) else "**no**" for requirement in mine),
    ]
    return f"| {' | '.join(cells)} |"


def _provenance() -> str:
    return (
        f"Measured on {date.today()} with Airflow {version('apache-airflow')}, "
        f"{', '.join(_versions())} and Python "
        f"{platform.python_version()}, on {os.cpu_count()} cores ({platform.system()}, "
        f"{platform.machine()}).\n"
    )


def _versions() -> Iterator[str]:
    providers = ("apache-airflow-providers-http", "apache-airflow-providers-dbt-cloud")
    for package in ("requests", "urllib3", "h11", "aiohttp", *providers):
        # Only `make bench` installs the last one.
        with suppress(PackageNotFoundError):
            yield f"{package} {version(package)}"


def _costs(figures: Mapping[str, Figure]) -> str:
    return "\n".join(["## What it costs, and where", "", *_findings(figures), ""])


def _findings(figures: Mapping[str, Figure]) -> Iterator[str]:
    literal = figures[parsing.BUILD_LITERAL]
    serialize, quick = figures[parsing.SERIALIZE], figures[parsing.SERIALIZE_SET]
    one, kept = figures[updates.ONE], figures[updates.KEPT_HTTP]
    cpu = figures[tasks.CPU].values
    yield (
        "- **Import**: a DAG file loads neither `requests` nor `croniter` nor the hook; "
        "the tests check that. The classes themselves remain, which Airflow prepares one by one."
    )
    yield (
        f"- **Building**: an operator has a single constructor, because Airflow wraps the "
        f"constructor of every base class, too. Airflow searches the template fields for XComs, "
        f"which takes longer in a list than in a string: with `bindings` as a list in the DAG's "
        f"code instead of a string that params fill, building takes "
        f"{literal.values[OURS] / literal.values[FLOOR]:.3g} of `EmptyOperator`."
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
    yield from _waiting_findings(figures)


def _waiting_findings(figures: Mapping[str, Figure]) -> Iterator[str]:
    def shown(name: str, contender: str = OURS) -> str:
        return figures[name].shown(contender)

    yield (
        f"- **How late**: a wait looks at once, after two seconds and then after a seventh of the "
        f"time waited, at least 1 s and at most 30. It takes {shown(waits.HTTPS.polls)} polls a "
        f"job, and is late by {shown(waits.HTTPS.late)} (median). Every 2 s, `dbt-cloud` takes "
        f"{shown(waits.HTTPS.polls, DBT)} polls and is late by {shown(waits.HTTPS.late, DBT)}; as "
        f"shipped, {shown(waits.HTTPS.polls, DBT_SHIPPED)} polls and "
        f"{shown(waits.HTTPS.late, DBT_SHIPPED)}."
    )
    http, https = figures[waits.HTTP.cpu].values, figures[waits.HTTPS.cpu].values
    yield (
        f"- **CPU of a poll**: 1,000 polls take {http[OURS]:.3g} s over http and "
        f"{https[OURS]:.3g} s over https. `dbt-cloud` takes {http[DBT]:.3g} s and "
        f"{https[DBT]:.3g} s. A thousand waits that begin together want a thousand polls in the "
        f"same second, which may be more than one core can do: these polls queue, and the ends of "
        f"short jobs are noticed later than the rule alone would have it."
    )
    yield (
        f"- **Long jobs**: 1,000 jobs of six hours settle at {shown(waits.LONG_RATE)} requests a "
        f"second, where `dbt-cloud` takes {shown(waits.LONG_RATE, DBT)} every 2 s and "
        f"{shown(waits.LONG_RATE, DBT_SHIPPED)} as shipped. The faster clock makes a request as "
        f"long as ever and a pause {waits.TIMES} times shorter, so that it sees fewer polls."
    )
    yield _ONE_LOOK
