"""Count how many mutants the tests found, and list those that survived.

``survivors.txt`` names mutants that no test can tell from the package, each looked at. They count
as survivors, but need not be tried.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

from dev.mutation.measurement import FOLDER
from dev.mutation.mutant import Mutant
from dev.mutation.process import Outcome, is_found

LEAST = 0.95
"""The fraction of the mutants that the tests must find."""

_KNOWN = Path(__file__).with_name("survivors.txt")
_WORDS = ("killed", "survived", "late")
_EVERY = 200


class Score:
    """Counts mutants by their outcome, and writes them to files.

    :param is_rest: whether to continue the last run, which was interrupted.
    """

    def __init__(self, total: int, *, is_rest: bool) -> None:
        self._total = total
        if not is_rest:
            for word in _WORDS:
                path(word).write_text("")
        self._counts = Counter({word: len(listed(word)) for word in _WORDS})

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        """Count a mutant. A mutant that keeps a test from ending is found, too."""
        if outcome.problem and not outcome.failed:
            # An error of this program, not of the package.
            raise RuntimeError(outcome.problem)
        word = "late" if outcome.end == "late" else "killed" if is_found(outcome) else "survived"
        self._counts[word] += 1
        with path(word).open("a") as file:
            file.write("\t".join([str(mutant), *outcome.failed[:1]]) + "\n")
        if self._counts.total() % _EVERY == 0:
            print(self, flush=True)

    @property
    def value(self) -> float:
        """The fraction of the mutants that were found."""
        return 1 - self._counts["survived"] / max(self._counts.total(), 1)

    def __str__(self) -> str:
        counts = ", ".join(f"{self._counts[word]} {word}" for word in _WORDS)
        return f"{self._counts.total()} of {self._total} mutants: {counts}; {self.value:.1%} found"


def path(word: str) -> Path:
    """Return the file for the mutants with an outcome."""
    return FOLDER / f"{word}.txt"


def listed(*words: str) -> set[str]:
    """Return the mutants in the files for some outcomes, by default for all."""
    files = [path(word) for word in words or _WORDS]
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    return {line.partition("\t")[0] for line in lines}


@cache
def known() -> dict[str, str]:
    """Return why no test can find a mutant, by its name.

    In the file, a reason begins with ``#`` and stands above its mutants.
    """
    found = {}
    reason = ""
    for line in _KNOWN.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            reason = line.removeprefix("#").strip()
        elif line:
            found[line] = reason
    return found


def named(mutant: Mutant) -> str:
    """Name a mutant by its module, its function and its change, whatever the lines' numbers are."""
    module = mutant.file.as_posix().partition("/")[2]
    function = mutant.function.name if mutant.function else ""
    return f"{module} {function}: {mutant.before}  ->  {mutant.after}"
