"""What a test of a whole Airflow found: counts, and what must be true of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dev.faults import leak


def texts(folder: Path) -> Iterable[str]:
    """Return the text of each log in a folder."""
    return (path.read_text(errors="replace") for path in folder.rglob("*.log"))


def secrets(texts: Iterable[str]) -> tuple[int, int]:
    """Return how many texts there are, and how many of the planted secrets are in them."""
    counts = [leak.count(text) for text in texts]
    return len(counts), sum(counts)


def report(counts: Mapping[str, str], criteria: Mapping[str, bool]) -> int:
    """Print counts, and criteria with whether they are met; return the exit code."""
    for name, count in counts.items():
        print(f"{name + ':':25}{count}")
    print()
    for criterion, is_met in criteria.items():
        print(f"{'ok' if is_met else 'FAILED':8}{criterion}")
    passed = sum(criteria.values())
    print(f"\n{passed} passed, {len(criteria) - passed} failed")
    return 0 if passed == len(criteria) else 1
