"""What a thousand waits in one event loop cost, and how late they notice the end of a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, quantiles
from tempfile import TemporaryDirectory

from airflow_provider_datafold.jobs.watch import PollInterval
from dev.benchmarks import jobs, server, update
from dev.benchmarks.figure import DBT, DBT_SHIPPED, OURS, Figure

HTTP, HTTPS = "http", "https"
CONTENDERS = {HTTP: (OURS, DBT), HTTPS: (OURS, DBT, DBT_SHIPPED)}
"""Who waits, by the scheme of the service."""

LAG = "longest lag of the event loop"
POLLS = "polls a job"
LATE = "noticed late, median"
LATEST = "noticed late, 95th percentile"
MEMORY = "memory"
CPU = "CPU for 1,000 polls"

SLOW = 2.0
"""Seconds that a slow service takes for each response."""
SLOW_LATE = f"{SLOW:g} s a response: noticed late, median"
SLOW_LATEST = f"{SLOW:g} s a response: noticed late, 95th percentile"

LONG_POLLS = "6 hours: polls a job"
LONG_LATE = "6 hours: noticed late on average"
LONG_RATE = "6 hours: requests a second for 1,000 jobs"

INTERVALS: Mapping[str, float | None] = {OURS: None, DBT: 2.0, DBT_SHIPPED: 60.0}
"""Seconds between two polls by contender."""


@dataclass(frozen=True)
class Waits:
    """What one event loop with many waits was seen to do.

    :param lag: seconds that the event loop was late at most.
    :param megabytes: memory that the waits took at most.
    :param cpu: seconds of CPU.
    :param looks: polls by job.
    :param shares: the time from a job's end until its trigger fired, as a share of the job's length
        in percent, by job.
    """

    lag: float
    megabytes: float
    cpu: float
    looks: Sequence[int]
    shares: Sequence[float]

    def late(self, lengths: Sequence[float]) -> list[float]:
        """Return the seconds from a job's end until its trigger fired, by job.

        :param lengths: seconds that each job took.
        """
        pairs = zip(self.shares, lengths, strict=True)
        return [share * length / 100 for share, length in pairs]


def name_of(scheme: str, what: str) -> str:
    """Return the name of a figure.

    :param scheme: :data:`HTTP` or :data:`HTTPS`.
    :param what: what is measured.
    """
    return f"{scheme}: {what}"


def measure(count: int = jobs.JOBS) -> tuple[list[Figure], Mapping[str, Waits]]:
    """Wait for many jobs over http and over https.

    :param count: how many jobs.
    :return: the figures, and what was seen over https by contender.
    """
    lengths = jobs.lengths(count)
    seen = {
        scheme: {name: wait(name, lengths, is_tls=scheme == HTTPS) for name in contenders}
        for scheme, contenders in CONTENDERS.items()
    }
    figures = [figure for scheme in seen for figure in figures_of(scheme, seen[scheme])]
    found = {
        name: wait(name, lengths, is_tls=False, pause=SLOW).late(lengths)
        for name in CONTENDERS[HTTP]
    }
    figures.append(Figure(SLOW_LATE, "s", {name: median(found[name]) for name in found}))
    latest = {name: quantiles(found[name], n=20)[-1] for name in found}
    figures.append(Figure(SLOW_LATEST, "s", latest))
    return [*figures, *compute_long()], seen[HTTPS]


def figures_of(scheme: str, seen: Mapping[str, Waits]) -> list[Figure]:
    """Return what is shown of some waits.

    :param scheme: the scheme of the service.
    :param seen: what was seen by contender.
    :return: the figures.
    """
    values: dict[str, tuple[str, Callable[[Waits], float]]] = {
        LAG: ("s", lambda it: it.lag),
        POLLS: ("", lambda it: fmean(it.looks)),
        LATE: ("%", lambda it: median(it.shares)),
        LATEST: ("%", lambda it: quantiles(it.shares, n=20)[-1]),
        MEMORY: ("MB", lambda it: it.megabytes),
        CPU: ("s", lambda it: 1000 * it.cpu / sum(it.looks)),
    }
    return [
        Figure(name_of(scheme, what), unit, {name: value(found) for name, found in seen.items()})
        for what, (unit, value) in values.items()
    ]


def compute_long() -> list[Figure]:
    """Return what the polling rules say of long jobs."""
    pauses = {name: _pauses(interval) for name, interval in INTERVALS.items()}
    # The last one is that of the steady state.
    steady = {name: found[-1] for name, found in pauses.items()}
    return [
        # The first look comes before any pause.
        Figure(LONG_POLLS, "", {name: 1 + len(found) for name, found in pauses.items()}),
        Figure(LONG_LATE, "s", {name: pause / 2 for name, pause in steady.items()}),
        Figure(LONG_RATE, "", {name: jobs.JOBS / pause for name, pause in steady.items()}),
    ]


def _pauses(interval: float | None) -> list[float]:
    """Return the pauses of a wait for a long job, by the rule and without jitter."""
    rule, pauses = PollInterval(interval), list[float]()
    while sum(pauses) < jobs.LONG:
        pauses.append(rule.pause(sum(pauses), 0.5))
    return pauses


def wait(contender: str, lengths: Sequence[float], *, is_tls: bool, pause: float = 0.0) -> Waits:
    """Wait for jobs, in a fresh process.

    :param contender: who waits.
    :param lengths: seconds that each job takes.
    :param is_tls: whether over https.
    :param pause: seconds that the service takes for each response.
    :return: what was seen.
    """
    with _service(list(lengths), is_tls=is_tls, pause=pause) as (service, ca):
        command = [sys.executable, "-m", "dev.benchmarks.triggerer", contender]
        command += ["--jobs", str(len(lengths))]
        interval = INTERVALS[contender]
        command += ["--interval", str(interval)] if interval else []
        command += [] if is_tls else ["--plain"]
        done = subprocess.run(
            command,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | update.connections(service.url, ca=ca) | _theirs(service.url, ca),
            cwd=Path(__file__).parents[2],
        )
        seen = json.loads(done.stdout.splitlines()[-1])
        counted = service.counts(ca)
    ends = zip(seen["noticed"], counted["ends"], lengths, strict=True)
    shares = [100 * (noticed - end) / length for noticed, end, length in ends]
    return Waits(seen["lag"], seen["megabytes"], seen["cpu"], counted["looks"], shares)


@contextmanager
def _service(
    lengths: list[float], *, is_tls: bool, pause: float
) -> Iterator[tuple[server.Server, str | None]]:
    if not is_tls:
        with server.running(jobs=lengths, pause=pause) as plain:
            yield plain, None
        return
    with TemporaryDirectory(prefix="datafold-benchmarks-") as folder:
        chain, ca = server.certificates(Path(folder))
        with server.running(jobs=lengths, chain=chain, pause=pause) as tls:
            yield tls, str(ca)


def _theirs(url: str, ca: str | None) -> dict[str, str]:
    host = url.partition("://")[2]
    connection = {"conn_type": "dbt_cloud", "host": host, "password": update.API_KEY}
    return {
        "AIRFLOW_CONN_DBT_CLOUD_DEFAULT": json.dumps(connection),
        # Their provider has no setting for a CA; this variable is Python's own.
        **({"SSL_CERT_FILE": ca} if ca else {}),
    }
