"""What a thousand waits in one event loop cost, and how late they notice the end of a job."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, quantiles
from tempfile import TemporaryDirectory

from airflow_provider_datafold.jobs.watch import PollInterval
from dev.benchmarks import jobs, server, update
from dev.benchmarks.figure import DBT, DBT_SHIPPED, OURS, Figure


@dataclass(frozen=True)
class Setting:
    """Some jobs, and the way in which they are looked at.

    :param name: what the figures' names begin with.
    :param spread: how the jobs' lengths are spread.
    :param is_tls: whether over https.
    :param contenders: who waits for them.
    """

    name: str
    spread: str
    is_tls: bool
    contenders: tuple[str, ...] = (OURS, DBT)

    @property
    def lag(self) -> str:
        """Name of the figure: how late the event loop was at most."""
        return f"{self.name}: longest lag of the event loop"

    @property
    def polls(self) -> str:
        """Name of the figure: polls a job."""
        return f"{self.name}: polls a job"

    @property
    def late(self) -> str:
        """Name of the figure: how late an end is noticed, as a share of the job's length."""
        return f"{self.name}: noticed late, median"

    @property
    def latest(self) -> str:
        """Name of the figure: the same, the 95th percentile."""
        return f"{self.name}: noticed late, 95th percentile"

    @property
    def memory(self) -> str:
        """Name of the figure: the memory that the waits take at most."""
        return f"{self.name}: memory"

    @property
    def cpu(self) -> str:
        """Name of the figure: the CPU time of a thousand polls."""
        return f"{self.name}: CPU for 1,000 polls"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all figures, in the order of the table."""
        return (self.lag, self.polls, self.late, self.latest, self.memory, self.cpu)


HTTP = Setting("http", jobs.SKEWED, is_tls=False)
HTTPS = Setting("https", jobs.SKEWED, is_tls=True, contenders=(OURS, DBT, DBT_SHIPPED))
EVEN = Setting("http, lengths spread evenly", jobs.EVEN, is_tls=False)
SETTINGS = (HTTP, HTTPS, EVEN)

LONG_POLLS = "6 hours: polls a job, computed"
LONG_POLLS_SEEN = "6 hours: polls a job, seen with a faster clock"
LONG_LATE = "6 hours: noticed late on average, computed"
LONG_LATE_SEEN = "6 hours: noticed late on average, seen with a faster clock"
LONG_RATE = "6 hours: requests a second for 1,000 jobs, computed"
LONG_RATE_SEEN = "6 hours: requests a second for 1,000 jobs, seen with a faster clock"
LONG_CPU = "6 hours: one core's share for 1,000 jobs over https, computed"

NAMES = (
    *(name for setting in SETTINGS for name in setting.names),
    *(LONG_POLLS, LONG_LATE, LONG_RATE, LONG_CPU),
    *(LONG_POLLS_SEEN, LONG_LATE_SEEN, LONG_RATE_SEEN),
)

TIMES = 240
"""How much faster the clock runs for the long jobs: they take 90 s."""
FEW = 10
"""So few long jobs that a request takes no longer than it would alone."""

INTERVALS: Mapping[str, float | None] = {OURS: None, DBT: 2.0, DBT_SHIPPED: 60.0}
"""Seconds between two polls by contender."""


@dataclass(frozen=True)
class Waits:
    """What one event loop with many waits was seen to do.

    :param lag: seconds that the event loop was late at most.
    :param megabytes: memory that the waits took at most.
    :param cpu: seconds of CPU.
    :param looks: polls by job.
    :param late: seconds from a job's end until its trigger fired, by job.
    :param shares: the same as a share of the job's length, in percent.
    """

    lag: float
    megabytes: float
    cpu: float
    looks: Sequence[int]
    late: Sequence[float]
    shares: Sequence[float]


def measure(count: int = jobs.JOBS) -> tuple[list[Figure], Mapping[str, Waits]]:
    """Wait for many jobs in each setting, and for few long ones with a faster clock.

    :param count: how many jobs.
    :return: the figures, and what was seen over https by contender.
    """
    figures: list[Figure] = []
    seen: dict[str, Waits] = {}
    for setting in SETTINGS:
        lengths = jobs.lengths(setting.spread, count)
        seen_here = {
            name: wait(name, lengths, is_tls=setting.is_tls) for name in setting.contenders
        }
        figures += figures_of(setting, seen_here)
        if setting is HTTPS:
            seen = seen_here
    few = [jobs.LONG] * FEW
    names = (OURS, DBT_SHIPPED)
    with ThreadPoolExecutor() as pool:
        # Side by side: of these only the polls count, not the CPU.
        found = pool.map(lambda name: wait(name, few, is_tls=True, times=TIMES), names)
        long = dict(zip(names, found, strict=True))
    cpu = next(figure for figure in figures if figure.name == HTTPS.cpu)
    return [*figures, *compute_long(cpu.values), *long_figures(long)], seen


def figures_of(setting: Setting, seen: Mapping[str, Waits]) -> list[Figure]:
    """Return what is shown of some waits.

    :param setting: the setting that they were in.
    :param seen: what was seen by contender.
    :return: the figures.
    """

    def figure(name: str, unit: str, value: Callable[[Waits], float]) -> Figure:
        return Figure(name, unit, {contender: value(found) for contender, found in seen.items()})

    return [
        figure(setting.lag, "s", lambda it: it.lag),
        figure(setting.polls, "", lambda it: fmean(it.looks)),
        figure(setting.late, "%", lambda it: median(it.shares)),
        figure(setting.latest, "%", lambda it: quantiles(it.shares, n=20)[-1]),
        figure(setting.memory, "MB", lambda it: it.megabytes),
        figure(setting.cpu, "s", lambda it: 1000 * it.cpu / sum(it.looks)),
    ]


def compute_long(cpu: Mapping[str, float]) -> list[Figure]:
    """Return what the polling rules say of long jobs.

    :param cpu: seconds of CPU for a thousand polls by contender.
    :return: the figures.
    """
    pauses = {name: _pauses(interval) for name, interval in INTERVALS.items()}
    # The last one is that of the steady state.
    steady = {name: found[-1] for name, found in pauses.items()}
    rates = {name: jobs.JOBS / pause for name, pause in steady.items()}
    return [
        # The first look comes before any pause.
        Figure(LONG_POLLS, "", {name: 1 + len(found) for name, found in pauses.items()}),
        Figure(LONG_LATE, "s", {name: pause / 2 for name, pause in steady.items()}),
        Figure(LONG_RATE, "", rates),
        Figure(LONG_CPU, "%", {name: rate * cpu[name] / 10 for name, rate in rates.items()}),
    ]


def long_figures(seen: Mapping[str, Waits]) -> list[Figure]:
    """Return what was seen of long jobs with a faster clock.

    :param seen: what was seen by contender.
    :return: the figures.
    """
    looks = {name: fmean(found.looks) for name, found in seen.items()}
    late = {name: fmean(found.late) for name, found in seen.items()}
    rates = {name: jobs.JOBS * polls / jobs.LONG for name, polls in looks.items()}
    return [
        Figure(LONG_POLLS_SEEN, "", looks),
        Figure(LONG_LATE_SEEN, "s", late),
        Figure(LONG_RATE_SEEN, "", rates),
    ]


def _pauses(interval: float | None) -> list[float]:
    """Return the pauses of a wait for a long job, by the rule and without jitter."""
    rule, pauses = PollInterval(interval), list[float]()
    while sum(pauses) < jobs.LONG:
        pauses.append(rule.pause(sum(pauses), 0.5))
    return pauses


def wait(
    contender: str,
    lengths: Sequence[float],
    *,
    is_tls: bool = False,
    times: float = 1.0,
) -> Waits:
    """Wait for jobs, in a fresh process.

    :param contender: who waits.
    :param lengths: seconds that each job takes.
    :param is_tls: whether over https.
    :param times: how much faster the clock runs.
    :return: what was seen.
    """
    with _service([length / times for length in lengths], is_tls=is_tls) as (service, ca):
        command = [sys.executable, "-m", "dev.benchmarks.triggerer", contender]
        command += ["--jobs", str(len(lengths)), "--times", str(times)]
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
        counted = service.read(ssl.create_default_context(cafile=ca) if ca else None)
    late = [
        (noticed - end) * times
        for noticed, end in zip(seen["noticed"], counted["ends"], strict=True)
    ]
    shares = [100 * share / length for share, length in zip(late, lengths, strict=True)]
    return Waits(seen["lag"], seen["megabytes"], seen["cpu"], counted["looks"], late, shares)


@contextmanager
def _service(lengths: list[float], *, is_tls: bool) -> Iterator[tuple[server.Server, str | None]]:
    if not is_tls:
        with server.running(jobs=lengths) as plain:
            yield plain, None
        return
    with TemporaryDirectory(prefix="datafold-benchmarks-") as folder:
        chain, ca = server.certificates(Path(folder))
        with server.running(jobs=lengths, chain=chain) as tls:
            yield tls, str(ca)


def _theirs(url: str, ca: str | None) -> dict[str, str]:
    host = url.partition("://")[2]
    connection = {"conn_type": "dbt_cloud", "host": host, "password": update.API_KEY}
    return {
        "AIRFLOW_CONN_DBT_CLOUD_DEFAULT": json.dumps(connection),
        # Their provider has no setting for a CA; this variable is Python's own.
        **({"SSL_CERT_FILE": ca} if ca else {}),
    }
