"""Many updates at once against a service that allows only so many in a second."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier

from dev.benchmarks import server, update
from dev.benchmarks.figure import FLOOR, OURS, Figure
from dev.benchmarks.surroundings import silenced

WALL = "rate limit, wall time"
REQUESTS = "rate limit, requests per update"
LOST = "rate limit, updates lost"

PROCESSES = 8
UPDATES = 400
PER_SECOND = 40
MAX_RETRIES = 100
"""What a connection's ``max_retries`` may be at most; its default is 3."""


def measure(updates: int = UPDATES) -> tuple[list[Figure], list[float]]:
    """Let processes update different integrations, each its share one after the other.

    :param updates: how many in all.
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
    # Whatever is raised ends the process, and the updates that it leaves are lost.
    start_line.wait()
    for number in numbers:
        update.execute(update.our_operator(number + 1))
