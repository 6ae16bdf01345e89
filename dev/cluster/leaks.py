"""Secrets in what a run has written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dev.faults import leak


@dataclass(frozen=True)
class Search:
    """A search for secrets.

    :param places: how many places were looked at.
    :param found: how many secrets were found.
    """

    places: int
    found: int


def search(texts: Iterable[str]) -> Search:
    """Look for the planted secrets.

    :param texts: where to look.
    """
    counts = [leak.count(text) for text in texts]
    return Search(len(counts), sum(counts))


def logs(folder: Path) -> Iterable[str]:
    """Read all logs.

    :param folder: where they are, in folders of their own, too.
    """
    return (path.read_text(errors="replace") for path in folder.rglob("*.log"))
