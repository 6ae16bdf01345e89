"""Run some tests in their own process."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import RawValue
from typing import TypeVar

import pytest

_SLACK = 10.0
"""Seconds that a test may take in addition to three times its usual time, on a busy machine."""

_LONGEST_START = 60.0
"""Seconds until the first test of a file starts."""

_LOOK = 0.1
"""Seconds after which to look again whether a process is late."""

Name = TypeVar("Name")


@dataclass
class Outcome:
    """The outcome of a process.

    :param failed: the tests that failed, by node id.
    :param seconds: how long each test took.
    :param end: how the process ended: ``"well"``, ``"late"`` or ``"badly"``.
    :param problem: the traceback, if it ended badly.
    """

    failed: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    end: str = "badly"
    problem: str = ""


class Watch:
    """A pytest plugin that records how tests end, and tells the parent how long to wait.

    :param usual: the seconds that tests usually take.
    :param chosen: the tests to run, in this order; all, unless they are given.
    """

    def __init__(self, usual: Mapping[str, float], chosen: Sequence[str] | None = None) -> None:
        self.outcome = Outcome()
        self._usual = usual
        self._chosen = chosen
        self._deadline = RawValue("d")

    @property
    def is_late(self) -> bool:
        """Whether the current test takes too long."""
        return time.monotonic() > float(self._deadline.value)

    def allow(self, seconds: float = _LONGEST_START) -> None:
        """Set how long the next step may take: by default, the import of tests."""
        self._deadline.value = time.monotonic() + seconds

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Cache compiled tests, although the tests' own configuration forbids it."""
        sys.dont_write_bytecode = False

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose tests."""
        if self._chosen is not None:
            present = {item.nodeid: item for item in items}
            items[:] = [present[test] for test in self._chosen if test in present]

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Start the clock."""
        self.allow(3 * self._usual.get(nodeid, 60.0) + _SLACK)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record how a test ends."""
        seconds = self.outcome.seconds
        seconds[report.nodeid] = seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.outcome.failed.append(report.nodeid)


def is_found(outcome: Outcome) -> bool:
    """Return whether a mutant was found: a test failed, did not end, or crashed the process."""
    return bool(outcome.failed) or outcome.end != "well"


Work = Callable[[Watch], None]
"""Runs tests and reports to a watch."""


class _Process:
    def __init__(self, work: Work, watch: Watch) -> None:
        self._watch = watch
        self.end, told = Pipe(duplex=False)
        watch.allow()
        self._process = os.fork()
        if self._process == 0:
            _run(work, watch, told)
        # So that the pipe ends when the process does.
        told.close()

    def result(self) -> Outcome | None:
        """Return the outcome, ``None`` as long as the process runs."""
        has_ended = self.end.poll()
        if not has_ended and not self._watch.is_late:
            return None
        outcome = Outcome(end="badly" if has_ended else "late")
        if has_ended:
            with suppress(EOFError):
                outcome = self.end.recv()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        self.end.close()
        return outcome


def _run(work: Work, watch: Watch, told: Connection) -> None:
    """Run the work in a process that was just forked, and end it."""
    try:
        # Processes that a test starts are killed with it.
        os.setsid()
        silence = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(silence, standard)
        logging.disable(logging.NOTSET)
        work(watch)
        watch.outcome.end = "well"
    except BaseException:
        watch.outcome.problem = traceback.format_exc()
    told.send(watch.outcome)
    os._exit(0)


def each(plans: Iterable[tuple[Name, Work, Watch]], jobs: int) -> Iterator[tuple[Name, Outcome]]:
    """Run processes, a few at a time, and return their outcomes in the order in which they end."""
    waiting = iter(plans)
    running: list[tuple[Name, _Process]] = []
    while True:
        while len(running) < jobs and (plan := next(waiting, None)):
            name, work, watch = plan
            running.append((name, _Process(work, watch)))
        if not running:
            return
        wait([process.end for _, process in running], _LOOK)
        for name, process in [*running]:
            if outcome := process.result():
                running.remove((name, process))
                yield name, outcome
