"""How many mutants the tests found, and which ones they did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from dev.mutation.measurement import FOLDER
from dev.mutation.mutant import Mutant
from dev.mutation.trial import Outcome

LEAST = 0.95
"""The part of the mutants that the tests must find."""

_WORDS = ("killed", "survived", "late")
_EVERY = 200


class Score:
    """Counts mutants by what came of them, and writes them down.

    :param mutants: all mutants.
    :param is_rest: whether to go on with the last run, which was broken off.
    """

    def __init__(self, mutants: Collection[Mutant], *, is_rest: bool) -> None:
        self._total = len(mutants)
        self._counts: Counter[str] = Counter()
        for word in _WORDS:
            if not is_rest:
                path(word).write_text("")
            self._counts[word] = len(listed(word))

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        """Count a mutant. One with which a test does not end is found, too."""
        word = _word(outcome)
        self._counts[word] += 1
        with path(word).open("a") as file:
            file.write("\t".join([str(mutant), *outcome.failed[:1]]) + "\n")
        if self._counts.total() % _EVERY == 0:
            print(self, flush=True)

    @property
    def value(self) -> float:
        """The part of the mutants that were found."""
        return 1 - self._counts["survived"] / max(self._counts.total(), 1)

    def __str__(self) -> str:
        counts = ", ".join(f"{self._counts[word]} {word}" for word in _WORDS)
        return f"{self._counts.total()} of {self._total} mutants: {counts}; {self.value:.1%} found"


def path(word: str) -> Path:
    """Return where the mutants are written down, of which a word says what came of them."""
    return FOLDER / f"{word}.txt"


def listed(word: str) -> list[str]:
    """Return the mutants that were written down."""
    written = path(word).read_text() if path(word).exists() else ""
    return [line.partition("\t")[0] for line in written.splitlines()]


def tried() -> list[str]:
    """Return the mutants that the last run has tried."""
    return [mutant for word in _WORDS for mutant in listed(word)]


def _word(outcome: Outcome) -> str:
    if outcome.failed:
        return "killed"
    if outcome.end == "badly" and outcome.problem:
        # A mistake of this program's, not of the package's.
        raise RuntimeError(outcome.problem)
    return {"well": "survived", "late": "late", "badly": "killed"}[outcome.end]
