"""Many updates at once against a service with a rate limit."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier

from dev.benchmarks import server, update
from dev.benchmarks.environment import silenced
from dev.benchmarks.figure import FLOOR, OURS, Figure

WALL = "rate limit, wall time"
REQUESTS = "rate limit, requests per update"
LOST = "rate limit, updates lost"

PROCESSES = 8
UPDATES = 400
PER_SECOND = 40
MAX_RETRIES = 100
"""The highest ``max_retries`` of a connection; its default is 3."""


def measure(updates: int = UPDATES) -> tuple[list[Figure], list[float]]:
    """Measure processes that each update their share of all integrations, one after the other.

    :param updates: how many updates in all.
    :return: the figures, and when each update was accepted.
    """
    context = multiprocessing.get_context("fork")
    with silenced(), server.running(per_second=PER_SECOND) as service:
        os.environ.update(update.connections(service.url, max_retries=MAX_RETRIES))
        start_line = context.Barrier(PROCESSES + 1)
        processes = [
            context.Process(target=_work, args=(start_line, range(first, updates, PROCESSES)))
            for first in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        start_line.wait()
        start = time.perf_counter()
        for process in processes:
            process.join()
        seconds = time.perf_counter() - start
        counts = service.counts()
    return [
        Figure(WALL, "s", {OURS: seconds, FLOOR: updates / PER_SECOND}, "what the limit allows"),
        Figure(REQUESTS, "", {OURS: counts.requests / updates}),
        Figure(LOST, "", {OURS: updates - counts.updated}),
    ], counts.seconds


def _work(start_line: Barrier, numbers: range) -> None:
    # An exception ends the process, so that its remaining updates count as lost.
    start_line.wait()
    for number in numbers:
        update.execute(update.our_operator(number + 1))
