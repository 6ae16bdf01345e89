"""Choose the tests for a mutant."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path

from dev.mutation.measurement import Measurement
from dev.mutation.mutant import Mutant

FEW_SECONDS, MOST_SECONDS = 4.0, 20.0
"""How long the tests for a mutant may usually take: at first, and again if it survives."""

_QUICK = 0.2
"""Seconds. Slower tests are used only if a mutant has survived the quick ones."""


class Choice:
    """Chooses tests, and learns which tests find mutants.

    :param measurement: the measurement of all tests.
    :param late: tests to use late, because they need a fixture that each process starts again.
    """

    def __init__(self, measurement: Measurement, late: Set[str] = frozenset()) -> None:
        self._late = late
        self._seconds = measurement.seconds
        self._lines = measurement.lines
        self._tests = measurement.seconds.keys() - measurement.failing
        self._breadths: dict[Path, Counter[str]] = {}
        self._found: dict[object, Counter[str]] = defaultdict(Counter)

    def note(self, mutant: Mutant, failed: Iterable[str]) -> None:
        """Note which tests found a mutant."""
        for place in _places(mutant):
            self._found[place].update(failed)

    def leave_out(self, test: str) -> None:
        """Stop choosing a test that fails without a mutant."""
        self._tests = self._tests - {test}

    def is_imported(self, mutant: Mutant) -> bool:
        """Return whether a mutant has an effect when modules are imported, not only when called."""
        if mutant.function is None:
            return True
        body = mutant.function.body
        lines = range(body[0].lineno, (body[-1].end_lineno or body[-1].lineno) + 1)
        return "" in self._reaching(mutant, lines)

    def tests(self, mutant: Mutant, *, is_last: bool) -> list[str]:
        """Choose tests.

        Tests that found mutants in the function or the module come first, then tests of the files
        that reach most of the module, with one case of each test function before the others.

        :param mutant: the mutant.
        :param is_last: whether to choose more tests, including slow ones.
        :return: tests that run the mutant's lines. If it has an effect when modules are imported,
            these are tests that run any line of the module, and then all others.
        """
        near, far = (self._found[place] for place in _places(mutant))
        if self.is_imported(mutant):
            reaching, tests = self._reaching(mutant, self._lines_of(mutant)), frozenset(self._tests)
        else:
            reaching = self._reaching(mutant, mutant.lines)
            tests = frozenset(reaching & self._tests)
        breadth = self._breadth(mutant)
        ranks: Counter[str] = Counter()
        keys = {}
        for test in sorted(tests, key=lambda test: (self._seconds[test], test)):
            function = test.partition("[")[0]
            is_slow = self._seconds[test] > _QUICK or test in self._late
            if is_last or not is_slow or near[test]:
                place = (test not in reaching, -breadth[file_of(test)], is_slow, ranks[function])
                keys[test] = (-near[test], -far[test], *place)
                ranks[function] += 1
        most = MOST_SECONDS if is_last else FEW_SECONDS
        return [*_limited(sorted(keys, key=keys.__getitem__), self._seconds, most)]

    def _lines_of(self, mutant: Mutant) -> Mapping[int, Set[str]]:
        return self._lines.get(mutant.file.resolve(), {})

    def _breadth(self, mutant: Mutant) -> Counter[str]:
        """Count how many lines of a mutant's module each test file reaches."""
        if mutant.file not in self._breadths:
            lines = self._lines_of(mutant).values()
            self._breadths[mutant.file] = Counter(
                file for tests in lines for file in {file_of(test) for test in tests if test}
            )
        return self._breadths[mutant.file]

    def _reaching(self, mutant: Mutant, lines: Iterable[int]) -> Set[str]:
        tests = self._lines_of(mutant)
        return frozenset().union(*(tests.get(line, ()) for line in lines))


def _places(mutant: Mutant) -> tuple[object, object]:
    return (mutant.file, mutant.function), mutant.file


def file_of(test: str) -> str:
    """Return the file of a test."""
    return test.partition("::")[0]


def by_file(tests: Iterable[str]) -> dict[str, list[str]]:
    """Group tests by their file, in the order in which the files appear."""
    files: dict[str, list[str]] = {}
    for test in tests:
        files.setdefault(file_of(test), []).append(test)
    return files


def _limited(tests: Iterable[str], seconds: Mapping[str, float], most: float) -> Iterator[str]:
    total = 0.0
    for test in tests:
        if total + seconds[test] <= most:
            total += seconds[test]
            yield test
