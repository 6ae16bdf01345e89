"""Count how many mutants the tests found, and list those that survived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from dev.mutation.measurement import FOLDER
from dev.mutation.mutant import Mutant
from dev.mutation.process import Outcome

LEAST = 0.95
"""The fraction of the mutants that the tests must find."""

_WORDS = ("killed", "survived", "late")
_EVERY = 200


class Score:
    """Counts mutants by their outcome, and writes them to files.

    :param mutants: all mutants.
    :param is_rest: whether to continue the last run, which was interrupted.
    """

    def __init__(self, mutants: Collection[Mutant], *, is_rest: bool) -> None:
        self._total = len(mutants)
        self._counts: Counter[str] = Counter()
        for word in _WORDS:
            if not is_rest:
                path(word).write_text("")
            self._counts[word] = len(listed(word))

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        """Count a mutant. A mutant that keeps a test from ending is found, too."""
        word = _word(outcome)
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


def listed(word: str) -> list[str]:
    """Return the mutants in the file for an outcome."""
    written = path(word).read_text() if path(word).exists() else ""
    return [line.partition("\t")[0] for line in written.splitlines()]


def tried() -> list[str]:
    """Return the mutants that the last run has tested."""
    return [mutant for word in _WORDS for mutant in listed(word)]


def _word(outcome: Outcome) -> str:
    if outcome.failed:
        return "killed"
    if outcome.end == "badly" and outcome.problem:
        # An error of this program, not of the package.
        raise RuntimeError(outcome.problem)
    return {"well": "survived", "late": "late", "badly": "killed"}[outcome.end]
