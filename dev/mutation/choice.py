"""The tests that a mutant is tried on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dev.mutation.measurement import Measurement
from dev.mutation.mutant import Mutant

MOST_SECONDS = 5.0
"""How long the tests of one mutant may take, by their usual times."""

_QUICK, _SLOW = 0.2, 3.0
"""Seconds. A test that is not quick comes last, and one that is slow has no part in files of tests.
"""


class Choice:
    """Chooses tests, and learns from what they find.

    :param measurement: of all tests.
    """

    def __init__(self, measurement: Measurement) -> None:
        self._seconds = measurement.seconds
        self._failing = measurement.failing
        self._lines = measurement.lines
        self._found: dict[Path, Counter[str]] = defaultdict(Counter)
        self.slow = frozenset(test for test, taken in self._seconds.items() if taken > _SLOW)
        self._seconds_of_files: dict[str, float] = defaultdict(float)
        for test, seconds in self._seconds.items():
            if test not in self.slow:
                self._seconds_of_files[file_of(test)] += seconds

    def note(self, mutant: Mutant, failed: Iterable[str]) -> None:
        """Note which tests found a mutant."""
        self._found[mutant.file].update(map(file_of, failed))

    def is_imported(self, mutant: Mutant) -> bool:
        """Say whether a mutant shows when modules are imported, and not only when it is called."""
        return mutant.function is None or "" in self._reaching(mutant)

    def tests(self, mutant: Mutant) -> list[str]:
        """Choose tests for a mutant that shows when it is called.

        :return: tests that run its lines: the quick ones, one case of each function, before others.
        """
        ranks: Counter[str] = Counter()
        keys = {}
        reaching = self._reaching(mutant) - {""} - self._failing
        for test in sorted(reaching, key=lambda test: (self._seconds[test], test)):
            function = test.partition("[")[0]
            keys[test] = (self._seconds[test] > _QUICK, ranks[function])
            ranks[function] += 1
        return [*_limited(sorted(keys, key=keys.__getitem__), self._seconds, MOST_SECONDS)]

    def files(self, mutant: Mutant) -> list[str]:
        """Choose files of tests for any other mutant.

        :return: the files: first those that found others in the same module, then those that run
            any line of it, the quick ones before others.
        """
        lines = self._lines.get(mutant.file.resolve(), {})
        reaching = {file_of(test) for tests in lines.values() for test in tests}
        found, seconds = self._found[mutant.file], self._seconds_of_files
        keys = {file: (-found[file], file not in reaching, seconds[file]) for file in seconds}
        return [*_limited(sorted(keys, key=keys.__getitem__), seconds, 3 * MOST_SECONDS)]

    def _reaching(self, mutant: Mutant) -> frozenset[str]:
        lines = self._lines.get(mutant.file.resolve(), {})
        return frozenset().union(*(lines.get(line, ()) for line in mutant.lines))


def file_of(test: str) -> str:
    """Return the file that a test is in."""
    return test.partition("::")[0]


def _limited(names: Iterable[str], seconds: Mapping[str, float], most: float) -> Iterator[str]:
    total = 0.0
    for name in names:
        total += seconds[name]
        if total <= most:
            yield name
