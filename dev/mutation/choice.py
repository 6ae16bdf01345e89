"""Choose the tests for a mutant."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cache
from pathlib import Path

from dev.mutation.measurement import Measurement
from dev.mutation.mutant import Mutant

FEW_SECONDS, MOST_SECONDS = 4.0, 24.0
"""How long the tests for a mutant may usually take: at first, and again if it survives."""

_QUICK = 0.2
"""Seconds. Slower tests are used only if a mutant has survived the quick ones."""

_IMPORT = 0.3
"""Seconds that it takes to import a test file again."""


class Choice:
    """Chooses tests, and learns which tests find mutants.

    :param measurement: the measurement of all tests.
    :param late: tests to use late, because they need a fixture that each process starts again.
    """

    def __init__(self, measurement: Measurement, late: Set[str] = frozenset()) -> None:
        self._late = late
        self._seconds = measurement.seconds
        self._costs: Counter[str] = Counter()
        for test, seconds in measurement.seconds.items():
            self._costs[file_of(test)] += seconds  # type: ignore[assignment]
        self._lines = measurement.lines
        self._tests = measurement.seconds.keys() - measurement.failing
        self._closenesses: dict[Path, dict[str, float]] = {}
        self._rarities: dict[Path, Counter[str]] = {}
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
        return "" in self._reaching(mutant, _inside(mutant))

    def tests(self, mutant: Mutant, *, is_last: bool) -> list[str]:
        """Choose tests.

        Tests that found mutants in the function or the module come first, then tests of files that
        import the module, then of files that reach most of it and least of others. A mutant that
        has survived these also meets tests that run rare lines of the module, one for each way
        through the function before the others.

        :param mutant: the mutant.
        :param is_last: whether to choose more tests, including slow ones.
        :return: tests that run the mutant's lines. If it has an effect when modules are imported,
            these are tests that run any line of the module, and then all others.
        """
        is_imported = self.is_imported(mutant)
        lines = self._lines_of(mutant)
        reaching = self._reaching(mutant, lines if is_imported else mutant.lines)
        tests = self._tests if is_imported else reaching & self._tests
        if not is_last:
            known = {*self._found[mutant.file, mutant.function]}
            tests = {test for test in tests if test in known or not self._is_slow(test)}
        start = _IMPORT if is_last or is_imported else 0.0
        most = MOST_SECONDS / 2 if is_last else FEW_SECONDS
        close = self._close(mutant, tests, reaching)
        chosen = [*_limited(close, self._seconds, start, most)]
        if is_last:
            others = self._rare(mutant, tests - {*chosen}, reaching)
            chosen += _limited(others, self._seconds, start, most)
        return chosen

    def _is_slow(self, test: str) -> bool:
        return self._seconds[test] > _QUICK or test in self._late

    def _close(self, mutant: Mutant, tests: Set[str], reaching: Set[str]) -> list[str]:
        """Order tests: first those of files that import the module, then of the closest files.

        Of files that import it, the quickest come first, which test the least of anything else.
        """
        near, far = (self._found[place] for place in _places(mutant))
        closeness = self._closeness(mutant)
        turns: Counter[str] = Counter()
        keys = {}
        for test in sorted(tests, key=lambda test: (self._seconds[test], test)):
            function = test.partition("[")[0]
            file = file_of(test)
            is_named = mutant.module in _imports(file)
            keys[test] = (
                (-near[test], -far[test]),
                (not is_named, self._costs[file] if is_named else 0.0),
                test not in reaching,
                -closeness.get(file, 0),
                self._is_slow(test),
                turns[function],
            )
            turns[function] += 1
        return sorted(keys, key=keys.__getitem__)

    def _rare(self, mutant: Mutant, tests: Set[str], reaching: Set[str]) -> list[str]:
        """Order tests: first those that run rare lines of the module.

        Each way through the function and each test function has its turn before another case of
        the same.
        """
        rarity, ways = self._rarity(mutant), self._ways(mutant)
        turns: Counter[object] = Counter()
        keys = {}
        for test in sorted(tests, key=lambda test: (-rarity[test], self._seconds[test], test)):
            kinds = ways[test], test.partition("[")[0]
            keys[test] = (test not in reaching, max(turns[kind] for kind in kinds))
            turns.update(kinds)
        return sorted(keys, key=keys.__getitem__)

    def _lines_of(self, mutant: Mutant) -> Mapping[int, Set[str]]:
        return self._lines.get(mutant.file.resolve(), {})

    def _closeness(self, mutant: Mutant) -> Mapping[str, float]:
        """Say how close each test file is to a mutant's module.

        It is the closer, the more lines of the module it reaches, and the fewer others.
        """
        if not self._closenesses:
            reach: dict[Path, Counter[str]] = defaultdict(Counter)
            for module, lines in self._lines.items():
                for tests in lines.values():
                    reach[module].update({file_of(test) for test in tests if test})
            every = sum(reach.values(), Counter())
            self._closenesses = {
                module: {file: lines * lines / every[file] for file, lines in found.items()}
                for module, found in reach.items()
            }
        return self._closenesses.get(mutant.file.resolve(), {})

    def _rarity(self, mutant: Mutant) -> Counter[str]:
        """Say how rare the lines of a mutant's module are that each test runs."""
        if mutant.file not in self._rarities:
            rarity = self._rarities[mutant.file] = Counter()
            for tests in self._lines_of(mutant).values():
                for test in tests:
                    rarity[test] += 1 / len(tests)  # type: ignore[assignment]
        return self._rarities[mutant.file]

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


@cache
def _imports(file: str) -> frozenset[str]:
    """Return what a file imports, by the names that modules could have."""
    path = Path(file)
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(found)


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


def _limited(
    tests: Iterable[str], seconds: Mapping[str, float], start: float, most: float
) -> Iterator[str]:
    total = 0.0
    files: set[str] = set()
    for test in tests:
        cost = seconds[test] + (0.0 if file_of(test) in files else start)
        if total + cost <= most:
            total += cost
            files.add(file_of(test))
            yield test
