"""The whole run: measure the tests, then test each mutant with them."""

from __future__ import annotations

import gc
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import coverage
import pytest

from dev.mutation import measurement
from dev.mutation.choice import Choice, by_file
from dev.mutation.insertion import Functions, forget, load_from_now_on
from dev.mutation.measurement import Measurement
from dev.mutation.mutant import Mutant
from dev.mutation.process import Outcome, Watch, Work, each

_UNNEEDED = ("cacheprovider", "cov", "faulthandler", "junitxml", "unraisableexception", "xdist")
OPTIONS = (
    "--quiet",
    "--capture=no",
    "--tb=native",  # Any other takes longer than most tests.
    "--import-mode=importlib",
    "--override-ini=addopts=",
    "--override-ini=tmp_path_retention_policy=none",
    "-m=not ui",
    *(f"-pno:{plugin}" for plugin in _UNNEEDED),
)

_SANDBOX = "running_sandbox"
"""The fixture that takes longer to start than most tests take to run."""

PACKAGE = Path("airflow_provider_datafold")


class Run:
    """A pytest plugin that tests mutants instead of running the tests.

    Each mutant runs in a fork of this process, which has already imported Airflow and all tests. A
    mistake in a function is made in place. A mistake that has an effect when modules are imported
    needs all modules imported again, which takes longer.
    """

    def __init__(
        self,
        mutants: Iterable[Mutant],
        jobs: int,
        tell: Callable[[Mutant, Outcome], None],
        *,
        is_measured: bool,
    ) -> None:
        self._waiting = deque(mutants)
        self._jobs = jobs
        self._tell = tell
        self._is_measured = is_measured

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do the whole run."""
        items = {item.nodeid: item for item in session.items}
        functions = Functions(PACKAGE.resolve())
        # Keeps memory shared between the forks.
        gc.collect()
        gc.freeze()
        if not self._is_measured:
            self._measure(items)
        tests = Tests(items, functions, measurement.load())
        while self._waiting:
            for mutant, outcome in each(self._plans(tests), self._jobs):
                if tests.prove(mutant, outcome):
                    self._tell(mutant, outcome)
                else:
                    self._waiting.appendleft(mutant)
        return True

    def _plans(self, tests: Tests) -> Iterator[tuple[Mutant, Work, Watch]]:
        while self._waiting:
            mutant = self._waiting.popleft()
            yield mutant, *tests.plan(mutant)

    def _measure(self, items: Iterable[str]) -> None:
        """Run all tests without a mutant."""
        measurement.start()
        files = by_file(items)
        seconds: dict[str, float] = {}
        failing: set[str] = set()
        plans = (
            (file, partial(_measure, file, number), Watch({})) for number, file in enumerate(files)
        )
        for file, outcome in each(plans, self._jobs):
            seconds |= outcome.seconds
            failing |= _failures(file, outcome, files[file])
        measurement.save(seconds, frozenset(failing))


def _failures(file: str, outcome: Outcome, tests: Sequence[str]) -> set[str]:
    if outcome.end == "late":
        print(f"{file} did not end without a mutant, and is left out.", flush=True)
        return {*tests}
    if outcome.end != "well":
        raise RuntimeError(f"{file} ended {outcome.end} without a mutant. {outcome.problem}")
    return {*outcome.failed}


class Tests:
    """The tests, by node id, and which of them can be relied on."""

    def __init__(
        self, items: dict[str, pytest.Item], functions: Functions, measured: Measurement
    ) -> None:
        self._items = items
        self._functions = functions
        self._usual = measured.seconds
        fixtures = {test: getattr(item, "fixturenames", ()) for test, item in items.items()}
        self._choice = Choice(measured, {test for test in items if _SANDBOX in fixtures[test]})
        self._trusted: set[str] = set()

    def plan(self, mutant: Mutant, chosen: Sequence[str] | None = None) -> tuple[Work, Watch]:
        """Plan a test of a mutant, by the tests that are best for it unless others are chosen."""
        if chosen is None:
            chosen = self._choice.tests(mutant)
        items = [self._items[test] for test in chosen if test in self._items]
        functions = None if self._choice.is_imported(mutant) else self._functions
        work = partial(_try, mutant, items, functions)
        return work, Watch(self._usual, [item.nodeid for item in items])

    def prove(self, mutant: Mutant, outcome: Outcome) -> bool:
        """Return whether an outcome is reliable, and learn from it.

        A test may fail because of tests that ran before it, or because none did. So the first time
        that a test finds a mutant, it must find it alone, and pass alone without a mutant.
        Otherwise the test is not used any more, and the mutant must be tested again.
        """
        for test in outcome.failed:
            if test not in self._items:
                continue  # A test file that cannot be imported.
            if test not in self._trusted:
                control = partial(_run, [self._items[test]])
                is_alone = len(outcome.seconds) == 1
                if _fails(control, Watch(self._usual)) or not (
                    is_alone or _fails(*self.plan(mutant, [test]))
                ):
                    self._choice.leave_out(test)
                    return False
                self._trusted.add(test)
            self._choice.note(mutant, test)
        return True


def _fails(work: Work, watch: Watch) -> bool:
    ((_, outcome),) = each([("", work, watch)], 1)
    return bool(outcome.failed)


def _try(
    mutant: Mutant, items: Sequence[pytest.Item], functions: Functions | None, watch: Watch
) -> None:
    """Run tests with a mutant: in place of its function, or else by importing all again."""
    if functions and items and functions.change(mutant):
        _run(items, watch)
        return
    _forget()
    load_from_now_on(mutant)
    for file in by_file(item.nodeid for item in items):
        _run_file(file, watch, "--exitfirst")
        if watch.outcome.failed:
            return


def _measure(file: str, number: int, watch: Watch) -> None:
    _forget()
    lines = measurement.part(number)
    lines.start()
    _run_file(file, watch, plugins=[_Contexts(lines)])
    lines.stop()
    lines.save()


def _forget() -> None:
    forget(("airflow_provider_datafold", "dev", "tests"), but="dev.mutation")


def _run(items: Sequence[pytest.Item], watch: Watch) -> None:
    """Run tests that are already imported, until one fails."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        if not item.config.pluginmanager.is_registered(watch):
            item.config.pluginmanager.register(watch)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if watch.outcome.failed:
            return


def _run_file(file: str, watch: Watch, *options: str, plugins: Iterable[object] = ()) -> None:
    """Run a test file as pytest does."""
    watch.allow()
    # Its Airflow home is deleted after each run, and then it disables logging.
    sys.modules.pop("tests.conftest", None)
    logging.disable(logging.NOTSET)
    code = pytest.main([*OPTIONS, *options, file], plugins=[watch, *plugins])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        # An error while the tests are imported finds a mutant, too.
        watch.outcome.failed = watch.outcome.failed or [file]


class _Contexts:
    """A pytest plugin that records each line with the test that runs it."""

    def __init__(self, lines: coverage.Coverage) -> None:
        self._lines = lines

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._lines.switch_context(nodeid)

    def pytest_runtest_logfinish(self) -> None:
        self._lines.switch_context("")
