"""Parse the pages for users."""

from __future__ import annotations

import re
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a language in a page."""
    return blocks_in(page.read_text(), language)


def blocks_in(text: str, language: str) -> list[str]:
    """Return the code blocks of a language in a string."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def section(page: Path, heading: str) -> str:
    """Return the section under a heading of the second level."""
    _, _, rest = page.read_text().partition(f"\n## {heading}\n")
    assert rest, f"{page.name} has no section {heading}"
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the rows of the tables in a string, without their headers."""
    found = [
        [cell.strip() for cell in line[1:-1].split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return [row for place, row in enumerate(found) if not _is_head(found, place)]


def _is_head(found: list[list[str]], place: int) -> bool:
    return any(set(row) == {"---"} for row in found[place : place + 2])
