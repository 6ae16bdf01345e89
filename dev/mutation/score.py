"""How many mutants the tests found, and which ones they did not."""

from __future__ import annotations

from collections import Counter

from dev.mutation.measurement import FOLDER
from dev.mutation.mutant import Mutant
from dev.mutation.trial import Outcome

LEAST = 0.95
"""The part of the mutants that the tests must find."""

SURVIVED = FOLDER / "survived.txt"
"""One mutant a line."""

_EVERY = 200


class Score:
    """Counts mutants by what came of them, and writes down those that survive.

    :param total: how many mutants there are.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._counts: Counter[str] = Counter()
        self._lists = {word: FOLDER / f"{word}.txt" for word in ("killed", SURVIVED.stem, "late")}
        for path in self._lists.values():
            path.write_text("")

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        """Count a mutant. One with which a test does not end is found, too."""
        word = _word(outcome)
        self._counts[word] += 1
        found_by = f"  [{outcome.failed[0]}]" if outcome.failed else ""
        with self._lists[word].open("a") as file:
            file.write(f"{mutant}{found_by}\n")
        if self._counts.total() % _EVERY == 0:
            print(self, flush=True)

    @property
    def value(self) -> float:
        """The part of the mutants that were found."""
        return 1 - self._counts["survived"] / max(self._counts.total(), 1)

    def __str__(self) -> str:
        counts = ", ".join(f"{self._counts[word]} {word}" for word in self._lists)
        return f"{self._counts.total()} of {self._total} mutants: {counts}; {self.value:.1%} found"


def _word(outcome: Outcome) -> str:
    if outcome.failed:
        return "killed"
    if outcome.end == "badly" and outcome.problem:
        # A mistake of this program's, not of the package's.
        raise RuntimeError(outcome.problem)
    return {"well": "survived", "late": "late", "badly": "killed"}[outcome.end]
