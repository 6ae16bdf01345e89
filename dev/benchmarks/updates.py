"""What one update costs, with everything new and with a hook that is kept."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from airflow_provider_datafold.hooks.datafold import DatafoldHook
from dev.benchmarks import server, update
from dev.benchmarks.environment import silenced
from dev.benchmarks.figure import BARE, FLOOR, OURS, THEIRS, Figure, interleave, medians, stopwatch

ONE = "one update, from operator to response"
KEPT_HTTP = "an update on a kept hook, http"
KEPT_TLS = "an update on a kept hook, TLS"
CONNECTIONS = "connections for 100 updates"


def measure(rounds: int) -> list[Figure]:
    """Measure updates over http and over TLS.

    :param rounds: how many updates of each kind.
    :return: the time of an update, and the connections that the service counted.
    """
    with TemporaryDirectory(prefix="datafold-benchmarks-") as folder:
        chain, ca = server.certificates(Path(folder))
        with silenced(), server.running() as http, server.running(chain=chain) as tls:
            os.environ.update(update.connections(http.url))
            return [
                _one(http.url, rounds),
                _kept(KEPT_HTTP, http.url, None, rounds),
                _kept(KEPT_TLS, tls.url, str(ca), rounds),
                _connections(chain, str(ca)),
            ]


def _one(url: str, rounds: int) -> Figure:
    from dev.benchmarks.hand_written import HandWritten

    ways = {
        OURS: lambda: update.execute(update.our_operator()),
        BARE: lambda: update.put(url),
        THEIRS: lambda: update.execute(update.their_operator()),
        FLOOR: lambda: update.execute(HandWritten(task_id="update")),
    }
    found = interleave({name: stopwatch(way) for name, way in ways.items()}, rounds)
    return Figure(ONE, "ms", medians(found), "ten lines by hand")


def _kept(name: str, url: str, ca: str | None, rounds: int) -> Figure:
    from airflow.providers.http.hooks.http import HttpHook

    os.environ.update(update.connections(url, ca=ca))
    their_hook = HttpHook(method="PUT")
    with DatafoldHook() as hook, requests.Session() as session:
        ways = {
            OURS: lambda: _update(hook),
            BARE: lambda: update.put(url, ca),
            THEIRS: lambda: their_hook.run(
                update.path(7), json=update.BODY, headers=update.HEADERS
            ).json(),
            FLOOR: lambda: session.put(
                url + update.path(7),
                json=update.BODY,
                headers=update.HEADERS,
                timeout=30,
                verify=ca,
            ).json(),
        }
        found = interleave({name: stopwatch(way) for name, way in ways.items()}, rounds)
    return Figure(name, "ms", medians(found), "a kept `requests.Session`")


def _connections(chain: Path, ca: str) -> Figure:
    """Count connections over TLS, because they cost most there."""
    values: dict[str, float] = {}
    for name in (OURS, BARE):
        with server.running(chain=chain) as tls, DatafoldHook() as hook:
            os.environ.update(update.connections(tls.url, ca=ca))
            for _ in range(100):
                _update(hook) if name == OURS else update.put(tls.url, ca)
            values[name] = tls.counts(ssl.create_default_context(cafile=ca)).connections
    return Figure(CONNECTIONS, "", values)


def _update(hook: DatafoldHook) -> Any:
    return hook.update_hightouch_integration(7, token=update.TOKEN, **update.SCHEDULE)
