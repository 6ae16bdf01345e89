"""Run some tests in their own process."""

from __future__ import annotations

import json
import logging
import mmap
import os
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import IO, TypeVar

import pytest

_SLACK = 10.0
"""Seconds that a test may take in addition to three times its usual time, on a busy machine."""

_LONGEST_START = 60.0
"""Seconds until the first test of a file starts."""

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
    :param chosen: the tests to run, in this order; by default all tests of the files.
    """

    def __init__(self, usual: Mapping[str, float], chosen: Sequence[str] | None = None) -> None:
        self.outcome = Outcome()
        self._usual = usual
        self._chosen = chosen
        self._deadline = mmap.mmap(-1, struct.calcsize("d"))

    @property
    def is_late(self) -> bool:
        """Whether the current test takes too long."""
        (deadline,) = struct.unpack("d", self._deadline[:])
        return time.monotonic() > float(deadline)

    def start(self) -> None:
        """Allow time to import tests."""
        self._allow(_LONGEST_START)

    def _allow(self, seconds: float) -> None:
        self._deadline[:] = struct.pack("d", time.monotonic() + seconds)

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
        self._allow(3 * self._usual.get(nodeid, 60.0) + _SLACK)

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


class Process:
    """A process that runs tests, forked from this one.

    :param work: what to do in it.
    :param watch: watches the tests.
    """

    def __init__(self, work: Work, watch: Watch) -> None:
        self._watch = watch
        self._file: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in result
        watch.start()
        self._process = os.fork()
        if self._process == 0:
            self._run(work)

    def _run(self, work: Work) -> None:
        outcome = self._watch.outcome
        try:
            # Processes that a test starts are killed with it.
            os.setsid()
            silence = os.open(os.devnull, os.O_RDWR)
            for standard in range(3):
                os.dup2(silence, standard)
            logging.disable(logging.NOTSET)
            work(self._watch)
            outcome.end = "well"
        except BaseException:
            outcome.problem = traceback.format_exc()
        json.dump(asdict(outcome), self._file)
        self._file.flush()
        os._exit(0)

    def result(self) -> Outcome | None:
        """Return the outcome, ``None`` as long as the process runs."""
        ended, _ = os.waitpid(self._process, os.WNOHANG)
        if not ended and not self._watch.is_late:
            return None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process, signal.SIGKILL)
        if not ended:
            os.waitpid(self._process, 0)
        self._file.seek(0)
        written = self._file.read()
        self._file.close()
        if not ended:
            return Outcome(end="late")
        return Outcome(**json.loads(written)) if written else Outcome()


def each(plans: Iterable[tuple[Name, Work, Watch]], jobs: int) -> Iterator[tuple[Name, Outcome]]:
    """Run processes, a few at a time.

    :param plans: for each process a name, what to do and the watch.
    :param jobs: how many at a time.
    :return: name and outcome of each, in the order in which they end.
    """
    waiting = iter(plans)
    running: list[tuple[Name, Process]] = []
    while True:
        while len(running) < jobs and (plan := next(waiting, None)):
            name, work, watch = plan
            running.append((name, Process(work, watch)))
        if not running:
            return
        time.sleep(0.005)
        for name, process in [*running]:
            if outcome := process.result():
                running.remove((name, process))
                yield name, outcome
