"""What the provider costs, beside its alternatives: ``make bench``.

It prints a table, of which docs/performance.md has the most, and a sentence for each limit that is
missed. The contenders take turns, so that a noisy moment meets all of them. The service is a
process of its own, which costs as little as possible, and so is the event loop of the waits.
"""

from __future__ import annotations

import asyncio
import compileall
import gc
import json
import os
import random
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any, cast

import requests

OURS, HTTP, HAND, NEW, DBT = "ours", "`HttpOperator`", "ten lines", "not kept", "`dbt-cloud`"

LIMITS: dict[str, dict[str, float]] = {
    "import of one section's operators, ms": {"": 6},
    "import of everything, ms": {"": 15},
    "one update, http, ms": {HTTP: 1.15, HAND: 1.3},
    "one update, https, ms": {},
    "a kept hook's request, http, ms": {NEW: 0.85},
    "a kept hook's request, https, ms": {NEW: 0.35},
    "CPU for 1,000 polls, http, s": {"": 1.2, DBT: 1.0},
    "CPU for 1,000 polls, https, s": {DBT: 0.5},
    "longest lag of the event loop, https, s": {"": 0.5},
    "noticed late, median, https, %": {"": 8.5},
    "memory, https, MB": {"": 16},
}
"""The most that a figure of ours may be, or that it may be of another contender's."""

PROCESSES, UPDATES, JOBS = 15, 300, 1000
"""How many measurements a median is of; jobs that one event loop waits for."""
SHORTEST, LONGEST = 4.0, 45.0
WARM_UP = 1_000_000
"""Id of a job that has ended before anyone looks."""

Figures = dict[str, dict[str, float]]
"""The values by figure and contender."""

_PATH = "/api/v1/lineage/bi/hightouch/7/"
_KEY, _TOKEN = "benchmark-api-key", "benchmark-hightouch-token"
_SCHEDULE: dict[str, Any] = {
    "bindings": [{"remoteId": "1", "boundIds": [1, 2]}],
    "indexing_cron": "0 6 * * *",
}
_HEADERS = {"Authorization": f"Key {_KEY}", "Content-Type": "application/json"}
_ITSELF = [sys.executable, "-m", "dev.benchmarks"]

# A DAG file imports the DAG and the base classes anyway, so that they do not count.
_IMPORT = """
import sys, time
from importlib import import_module
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
start = time.perf_counter()
for module in sys.argv[1:]:
    import_module(module)
print((time.perf_counter() - start) * 1e3)
"""


def main(*part: str) -> int:
    match part:
        case ("serve", chain):
            asyncio.run(_serve(chain))
        case ("wait", who, scheme):
            make = _our_trigger if who == OURS else _their_trigger(scheme)
            with _silenced():
                found = asyncio.run(_wait_for(make))
            print(json.dumps(found))
        case _:
            with _airflow_home():
                figures = measure_imports()
                for scheme in ("http", "https"):
                    figures |= measure_updates(scheme) | measure_waits(scheme)
            return show(figures)
    return 0


def show(figures: Figures) -> int:
    """Print a table, and each limit that is missed; return the exit code."""
    missed = []
    for name, values in figures.items():
        shown = ", ".join(f"{who} {value:.3g}" for who, value in values.items())
        print(f"{name:42}{shown}")
        for other, most in LIMITS.get(name, {}).items():
            value = values[OURS] / (values[other] if other else 1.0)
            if value > most:
                missed.append(f"Missed: {name}: {value:.3g} {other and f'of {other}'}, not {most}")
    print(*missed, sep="\n", file=sys.stderr)
    return 1 if missed else 0


def measure_imports() -> Figures:
    """Measure what an import costs a DAG file over ``airflow.sdk``, in fresh processes."""
    import airflow_provider_datafold

    # pip compiles what it installs, but not an editable installation.
    compileall.compile_dir(Path(airflow_provider_datafold.__file__).parent, quiet=1)
    info = airflow_provider_datafold.get_provider_info()
    everything = [
        module for room in ("operators", "sensors") for module in info[room][0]["python-modules"]
    ]

    def run(*modules: str) -> float:
        command = [sys.executable, "-c", _IMPORT, *modules]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(done.stdout.splitlines()[-1])

    one = {
        OURS: lambda: run("airflow_provider_datafold.operators.bi"),
        HTTP: lambda: run("airflow.providers.http.operators.http"),
    }
    return {
        "import of one section's operators, ms": _medians(one, PROCESSES),
        "import of everything, ms": _medians({OURS: lambda: run(*everything)}, PROCESSES),
    }


def measure_updates(scheme: str) -> Figures:
    """Measure an update with everything new, and a request of a hook that is kept or not."""
    from airflow.providers.http.operators.http import HttpOperator
    from airflow.sdk import BaseHook
    from airflow.sdk.bases.operator import ExecutorSafeguard

    from airflow_provider_datafold.hooks.datafold import DatafoldHook
    from airflow_provider_datafold.operators.bi import DatafoldUpdateHightouchOperator

    def execute(operator: Any) -> None:
        # Otherwise each execution would log a warning that no task runner called it.
        ExecutorSafeguard.tracker.set(operator)
        operator.execute({})

    def ours() -> None:
        execute(DatafoldUpdateHightouchOperator(task_id="update", bi_datasource_id=7, **_SCHEDULE))

    def http() -> None:
        execute(
            HttpOperator(
                task_id="update",
                method="PUT",
                endpoint=_PATH,
                headers=_HEADERS,
                data=json.dumps({"token": _TOKEN, **_SCHEDULE}),
                response_filter=lambda response: response.json(),
            )
        )

    def by_hand() -> None:
        connection = BaseHook.get_connection("datafold_default")
        token = BaseHook.get_connection("hightouch_default").password
        response = requests.put(
            f"{connection.host}{_PATH}",
            json={"token": token, **_SCHEDULE},
            headers={"Authorization": f"Key {connection.password}"},
            timeout=30,
        )
        response.raise_for_status()
        response.json()

    def not_kept() -> None:
        with DatafoldHook() as hook:
            hook.get_data_diff(WARM_UP)

    def timed(way: Callable[[], object]) -> Callable[[], float]:
        def call() -> float:
            gc.collect()  # else one contender would pay for what another has left
            start = time.perf_counter()
            way()
            return (time.perf_counter() - start) * 1e3

        return call

    with _silenced(), _service(scheme), DatafoldHook() as kept:
        updates = {OURS: timed(ours), HTTP: timed(http), HAND: timed(by_hand)}
        reads = {OURS: timed(lambda: kept.get_data_diff(WARM_UP)), NEW: timed(not_kept)}
        return {
            f"one update, {scheme}, ms": _medians(updates, UPDATES),
            f"a kept hook's request, {scheme}, ms": _medians(reads, UPDATES),
        }


def measure_waits(scheme: str) -> Figures:
    """Measure a thousand waits of ours and of dbt-cloud's, which polls every 2 s."""
    figures: Figures = {}
    for who in (OURS, DBT):
        with _service(scheme) as url:
            command = [*_ITSELF, "wait", who, scheme]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            counted = requests.get(f"{url}/counts", timeout=30).json()
        seen = json.loads(done.stdout.splitlines()[-1])
        pairs = zip(seen["noticed"], counted["ends"], lengths(), strict=True)
        late = [100 * (noticed - end) / length for noticed, end, length in pairs]
        for name, value in {
            f"CPU for 1,000 polls, {scheme}, s": 1000 * seen["cpu"] / sum(counted["looks"]),
            f"polls a job, {scheme}": sum(counted["looks"]) / JOBS,
            f"longest lag of the event loop, {scheme}, s": seen["lag"],
            f"noticed late, median, {scheme}, %": median(late),
            f"noticed late, 95th percentile, {scheme}, %": quantiles(late, n=20)[-1],
            f"memory, {scheme}, MB": seen["megabytes"],
        }.items():
            figures.setdefault(name, {})[who] = value
    return figures


async def _wait_for(make: Callable[[int], Any]) -> dict[str, Any]:
    """Start triggers one after the other, as Airflow's triggerer does, and say what was seen."""
    import psutil

    await _end_of(make(WARM_UP))  # this loads everything
    gc.collect()
    memory = psutil.Process().memory_info
    before = most = memory().rss
    lag = 0.0

    async def look() -> None:
        nonlocal lag, most
        while True:
            wanted = time.perf_counter() + 0.02
            await asyncio.sleep(0.02)
            lag = max(lag, time.perf_counter() - wanted)
            most = max(most, memory().rss)

    looking = asyncio.create_task(look())
    cpu = time.process_time()
    waiting = []
    for number in range(1, JOBS + 1):
        waiting.append(asyncio.create_task(_end_of(make(number))))
        await asyncio.sleep(0)
    noticed = await asyncio.gather(*waiting)
    cpu = time.process_time() - cpu
    looking.cancel()
    return {"noticed": noticed, "lag": lag, "megabytes": (most - before) / 1e6, "cpu": cpu}


async def _end_of(trigger: Any) -> float:
    """Return when a trigger fired, by the clock that all processes of a machine share."""
    event = await anext(trigger.run())
    state = event.payload.get("state", event.payload.get("status"))
    if state not in ("succeeded", "success"):
        raise RuntimeError(f"A wait did not end well: {event.payload}")
    return time.monotonic()


def _our_trigger(number: int) -> Any:
    from airflow_provider_datafold.triggers.job import DatafoldJobTrigger

    now = time.time()
    return DatafoldJobTrigger(
        "data_diff",
        {"datadiff_id": number},
        "datafold_default",
        deadline=now + 86_400,
        since=now,
        poll_interval=None,
        cancel_on_kill=True,
    )


def _their_trigger(scheme: str) -> Callable[[int], Any]:
    from airflow.providers.dbt.cloud.hooks.dbt import DbtCloudHook
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    asked = DbtCloudHook.get_request_url_params

    def in_scheme(*given: Any, **more: Any) -> tuple[str, dict[str, Any]]:
        url, params = asked(*given, **more)
        return url.replace("https:", f"{scheme}:"), params

    # It knows https only.
    DbtCloudHook.get_request_url_params = staticmethod(in_scheme)  # type: ignore[method-assign]
    return lambda number: DbtCloudRunJobTrigger(
        conn_id="dbt_cloud_default",
        run_id=number,
        end_time=time.time() + 86_400,
        poll_interval=2.0,
        account_id=1,
    )


def lengths() -> list[float]:
    """Return the seconds of each job, the same in each process: many short ones, few long ones."""
    dice = random.Random(7)
    return [SHORTEST * (LONGEST / SHORTEST) ** dice.random() for _ in range(JOBS)]


class _Jobs:
    """Takes updates, and shows jobs, each of which begins when somebody looks at it first.

    It shows a job as a data diff or as a run of dbt Cloud, of as many bytes.
    """

    def __init__(self) -> None:
        from dev.sandbox.course import Job
        from dev.sandbox.data_diffs import IDENTICAL, DataDiffs

        self._seconds = dict(enumerate(lengths(), start=1)) | {WARM_UP: 0.0}
        self._begun: dict[int, float] = {}
        self._looks = dict.fromkeys(self._seconds, 0)
        side = ["DB", "PUBLIC", "ORDERS"]
        body = {"data_source1_id": 1, "data_source2_id": 2, "table1": side, "table2": side}
        self._diff = DataDiffs().add({**body, "pk_columns": ["id"]}, Job(IDENTICAL))
        self._filling = "." * (len(json.dumps(self._diff)) - 80)

    def respond(self, head: bytes) -> object:
        if head.startswith(b"PUT"):
            return {"id": 7, **_SCHEDULE, "indexing_cron": None}
        found = re.search(rb"/(datadiffs|runs)/(\d+)", head)
        if found is None:
            jobs = sorted(number for number in self._begun if number != WARM_UP)
            ends = [self._begun[number] + self._seconds[number] for number in jobs]
            return {"looks": [self._looks[number] for number in jobs], "ends": ends}
        number = int(found[2])
        begun = self._begun.setdefault(number, time.monotonic())
        self._looks[number] += 1
        has_ended = time.monotonic() >= begun + self._seconds[number]
        if found[1] == b"datadiffs":
            return self._diff | {"id": number, "status": "done" if has_ended else "processing"}
        run = {"id": number, "status": 10 if has_ended else 3, "status_message": self._filling}
        return {"data": run}


class _Connection(asyncio.Protocol):
    """A connection that speaks as much of HTTP/1.1 as its clients need."""

    def __init__(self, jobs: _Jobs) -> None:
        self._jobs = jobs
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, is_whole, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if not is_whole or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        content = json.dumps(self._jobs.respond(head)).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(content), content)
        )
        if b"connection: close" in head.lower():
            self._transport.close()


async def _serve(chain: str) -> None:
    """Print a port of 127.0.0.1 and serve there, over TLS if there is a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if chain else None
    if context:
        context.load_cert_chain(chain)
    jobs = _Jobs()
    # A thousand triggers begin together.
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(jobs), "127.0.0.1", 0, ssl=context, backlog=2048
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def _service(scheme: str) -> Iterator[str]:
    """Run the service, let Airflow's connections lead to it, and return its URL."""
    import trustme

    with TemporaryDirectory(prefix="datafold-benchmarks-") as folder:
        chain, ca = Path(folder, "chain.pem"), Path(folder, "ca.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca))
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(chain))
        command = [*_ITSELF, "serve", str(chain) if scheme == "https" else ""]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdout is not None
            url = f"{scheme}://localhost:{int(process.stdout.readline())}"
            datafold: dict[str, Any] = {"conn_type": "datafold", "host": url, "password": _KEY}
            trust = {"extra": {"ca_bundle": str(ca)}} if scheme == "https" else {}
            fields: dict[str, dict[str, Any]] = {
                "datafold": {**datafold, **trust},
                "hightouch": {"conn_type": "generic", "password": _TOKEN},
                "http": {"conn_type": "http", "host": url},
                "dbt_cloud": {**datafold, "conn_type": "dbt_cloud", "host": url.split("//")[1]},
            }
            for name, connection in fields.items():
                os.environ[f"AIRFLOW_CONN_{name.upper()}_DEFAULT"] = json.dumps(connection)
            # For what has no setting for a CA: these are variables of Python and of requests.
            os.environ.update(SSL_CERT_FILE=str(ca), REQUESTS_CA_BUNDLE=str(ca))
            yield url


def _medians(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Call each way in turn, and return its median; the first round does not count."""
    for way in ways.values():
        way()
    # Airflow's modules are no garbage; searching them again each time takes minutes.
    gc.collect()
    gc.freeze()
    found = [{name: way() for name, way in ways.items()} for _ in range(rounds)]
    gc.unfreeze()
    return {name: median(each[name] for each in found) for name in ways}


@contextmanager
def _airflow_home() -> Iterator[None]:
    """Set the environment of this process and its children; import no Airflow before."""
    with TemporaryDirectory(prefix="datafold-benchmarks-") as home:
        for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
            del os.environ[name]
        os.environ.update(AIRFLOW_HOME=home, AIRFLOW__CORE__LOAD_EXAMPLES="False")
        # An installed package has its bytecode, and so the measured one needs it.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        yield


@contextmanager
def _silenced() -> Iterator[None]:
    """Discard the log after it has been written with Airflow's defaults."""
    # Airflow's log keeps the stream, so that only its descriptor can be replaced.
    sys.stdout.flush()
    before = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
