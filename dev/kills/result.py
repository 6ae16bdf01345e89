"""The outcome of a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

HEADER = f"{'':8}{'case':32}{'jobs':>5}{'cancelled':>11}{'running':>9}  {'task':9}XCom"


@dataclass(frozen=True)
class Result:
    """The outcome of a case.

    :param name: the name of the case.
    :param is_expected: whether what was found is what must be.
    :param found: what was found.
    :param trouble: why the case did not end, empty if it did.
    """

    name: str
    is_expected: bool
    found: str
    trouble: str

    @property
    def is_right(self) -> bool:
        """Whether the case has passed."""
        return self.is_expected and not self.trouble

    def __str__(self) -> str:
        line = f"{'ok' if self.is_right else 'FAILED':8}{self.name:32}{self.found}"
        return f"{line}\n        {self.trouble}" if self.trouble else line


def trouble_of(play: Callable[[], None]) -> str:
    """Return why a case did not end, empty if it did.

    :param play: the case.
    """
    try:
        play()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
