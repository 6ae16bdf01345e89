"""Mutants that no test can tell from the package, each looked at and named in ``survivors.txt``.

They count as survivors, but need not be tried.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from dev.mutation.mutant import Mutant

_FILE = Path(__file__).with_name("survivors.txt")


@cache
def reasons() -> dict[str, str]:
    """Read the list.

    :return: by the mutant, as :func:`named` names it, why no test can find it. In the file, a
        reason begins with ``#`` and stands above its mutants.
    """
    found = {}
    reason = ""
    for line in _FILE.read_text(encoding="utf-8").splitlines():
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


def is_known(mutant: Mutant) -> bool:
    """Return whether a mutant is in the list."""
    return named(mutant) in reasons()
