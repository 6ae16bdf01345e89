"""The tests that a mutant is tried on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dev.mutation.measurement import Measurement
from dev.mutation.mutant import Mutant

MOST_SECONDS = 4.0
"""How long the tests of one mutant may take, by their usual times."""

_QUICK = 0.2
"""Seconds. Tests that take longer come last."""


class Choice:
    """Chooses tests, and learns from what they find.

    :param measurement: of all tests.
    """

    def __init__(self, measurement: Measurement) -> None:
        self._seconds = measurement.seconds
        self._failing = measurement.failing
        self._lines = measurement.lines
        self._found: dict[Path, Counter[str]] = defaultdict(Counter)
        self._seconds_of_files: dict[str, float] = defaultdict(float)
        for test, seconds in self._seconds.items():
            self._seconds_of_files[file_of(test)] += seconds

    def note(self, mutant: Mutant, failed: Iterable[str]) -> None:
        """Note which tests found a mutant."""
        self._found[mutant.file].update(failed)

    def is_imported(self, mutant: Mutant) -> bool:
        """Say whether a mutant shows when modules are imported, and not only when it is called."""
        return mutant.function is None or "" in self._reaching(mutant)

    def tests(self, mutant: Mutant) -> list[str]:
        """Choose tests for a mutant that shows when it is called.

        :return: tests that run its lines: the quick ones before others, and of them first those
            that found others in the same module, then one case of each function.
        """
        found = self._found[mutant.file]
        ranks: Counter[str] = Counter()
        keys = {}
        reaching = self._reaching(mutant) - {""} - self._failing
        for test in sorted(reaching, key=lambda test: (self._seconds[test], test)):
            function = test.partition("[")[0]
            keys[test] = (self._seconds[test] > _QUICK, -found[test], ranks[function])
            ranks[function] += 1
        return [*_limited(sorted(keys, key=keys.__getitem__), self._seconds)]

    def files(self, mutant: Mutant) -> list[str]:
        """Choose files of tests for any other mutant.

        :return: the files: first those that found others in the same module, then those that run
            any line of it, the quick ones before others.
        """
        lines = self._lines.get(mutant.file.resolve(), {})
        reaching = {file_of(test) for tests in lines.values() for test in tests}
        found: Counter[str] = Counter()
        for test, times in self._found[mutant.file].items():
            found[file_of(test)] += times
        seconds = self._seconds_of_files
        keys = {file: (-found[file], file not in reaching, seconds[file]) for file in seconds}
        return sorted(keys, key=keys.__getitem__)

    def order(self, mutant: Mutant) -> Callable[[str], Any]:
        """Return a key to sort the tests of a file by, as :meth:`tests` does."""
        found = self._found[mutant.file].copy()
        return lambda test: (-found[test], self._seconds.get(test, 0.0))

    def _reaching(self, mutant: Mutant) -> frozenset[str]:
        lines = self._lines.get(mutant.file.resolve(), {})
        return frozenset().union(*(lines.get(line, ()) for line in mutant.lines))


def file_of(test: str) -> str:
    """Return the file that a test is in."""
    return test.partition("::")[0]


def _limited(names: Iterable[str], seconds: Mapping[str, float]) -> Iterator[str]:
    total = 0.0
    for name in names:
        if total + seconds[name] <= MOST_SECONDS:
            total += seconds[name]
            yield name
