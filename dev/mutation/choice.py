"""Choose the tests for a mutant."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from dev.mutation.measurement import Measurement
from dev.mutation.mutant import Mutant

MOST_SECONDS = 24.0
"""How long the tests for a mutant may usually take."""

_QUICK = 0.2
"""Seconds. Slower tests come after the quick ones."""

_IMPORT = 0.3
"""Seconds that it takes to import a test file again."""


class Choice:
    """Chooses tests, and learns which tests find mutants.

    :param measured: the measurement of all tests.
    :param late: tests that need a fixture which each process starts again.
    """

    def __init__(self, measured: Measurement, late: Set[str] = frozenset()) -> None:
        self._seconds = measured.seconds
        self._lines = measured.lines
        self._tests = measured.seconds.keys() - measured.failing
        self._slow = {test for test, seconds in self._seconds.items() if seconds > _QUICK} | late
        self._breadth: Counter[str] = Counter()
        for lines in self._lines.values():
            for tests in lines.values():
                self._breadth.update(tests)
        self._found: dict[object, Counter[str]] = defaultdict(Counter)

    def note(self, mutant: Mutant, test: str) -> None:
        """Note that a test found a mutant."""
        for place in (mutant.file, mutant.function), mutant.file:
            self._found[place][test] += 1

    def leave_out(self, test: str) -> None:
        """Stop choosing a test that fails without a mutant."""
        self._tests = self._tests - {test}

    def is_imported(self, mutant: Mutant) -> bool:
        """Return whether a mutant has an effect when modules are imported, not only when called."""
        return mutant.function is None or "" in self._reaching(mutant, _inside(mutant))

    def tests(self, mutant: Mutant) -> list[str]:
        """Choose tests that run the mutant's lines.

        For a mutant that has an effect when modules are imported, these are tests that run any line
        of the module, and then all others. Half of the time is for tests in the folder that mirrors
        the module's, and the other half for the rest. Those come first that found mutants in the
        function or in the module, and then those that run the least of the package, one for each
        way through the function in turn.
        """
        is_imported = self.is_imported(mutant)
        lines = self._lines_of(mutant) if is_imported else mutant.lines
        reaching = self._reaching(mutant, lines)
        ordered = self._ordered(mutant, self._tests if is_imported else reaching, reaching)
        start = _IMPORT if is_imported else 0.0
        known = self._found[mutant.file, mutant.function]
        near = {test for test in ordered if test in known or _is_near(test, mutant)}
        chosen: dict[str, None] = {}
        files: set[str] = set()
        seconds = 0.0
        for most, tests in (MOST_SECONDS / 2, near), (MOST_SECONDS, {*ordered}):
            for test in ordered:
                cost = self._seconds[test] + (0.0 if file_of(test) in files else start)
                if test in tests and test not in chosen and seconds + cost <= most:
                    seconds += cost
                    files.add(file_of(test))
                    chosen[test] = None
        return [*chosen]

    def _ordered(self, mutant: Mutant, tests: Set[str], reaching: Set[str]) -> list[str]:
        near, far = self._found[mutant.file, mutant.function], self._found[mutant.file]
        ways = self._ways(mutant)
        turns: Counter[object] = Counter()
        keys = {}
        for test in sorted(tests & self._tests, key=lambda test: (self._breadth[test], test)):
            # Another case of the same test function often does the same, too.
            kinds = ways[test], test.partition("[")[0]
            turn = max(turns[kind] for kind in kinds)
            turns.update(kinds)
            is_slow = test in self._slow
            keys[test] = (-near[test], -far[test], test not in reaching, is_slow, turn)
        return sorted(keys, key=keys.__getitem__)

    def _lines_of(self, mutant: Mutant) -> Mapping[int, Set[str]]:
        return self._lines.get(mutant.file.resolve(), {})

    def _ways(self, mutant: Mutant) -> Mapping[str, tuple[int, ...]]:
        """Return the lines of a mutant's function that each test runs."""
        ways: dict[str, tuple[int, ...]] = defaultdict(tuple)
        for line in _inside(mutant):
            for test in self._lines_of(mutant).get(line, ()):
                ways[test] += (line,)
        return ways

    def _reaching(self, mutant: Mutant, lines: Iterable[int]) -> Set[str]:
        tests = self._lines_of(mutant)
        return frozenset().union(*(tests.get(line, ()) for line in lines))


def _inside(mutant: Mutant) -> range:
    """Return the lines in the body of a mutant's function."""
    if mutant.function is None:
        return range(0)
    body = mutant.function.body
    return range(body[0].lineno, (body[-1].end_lineno or body[-1].lineno) + 1)


def _is_near(test: str, mutant: Mutant) -> bool:
    """Return whether a test is in the folder that mirrors the module's."""
    return Path(file_of(test)).parts[1:-1] == mutant.file.parts[1:-1]


def file_of(test: str) -> str:
    """Return the file of a test."""
    return test.partition("::")[0]


def by_file(tests: Iterable[str]) -> dict[str, list[str]]:
    """Group tests by their file, in the order in which the files appear."""
    files: dict[str, list[str]] = {}
    for test in tests:
        files.setdefault(file_of(test), []).append(test)
    return files
