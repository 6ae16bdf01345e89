"""Wait for something that a case needs."""

from __future__ import annotations

import time
from collections.abc import Callable

_LONGEST_WAIT = 90.0


class CaseError(Exception):
    """A case did not continue."""


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """Wait.

    :param what: what to wait for, in words.
    :param condition: returns whether it has happened.
    :raises CaseError: it takes too long.
    """
    deadline = time.monotonic() + _LONGEST_WAIT
    while not condition():
        if time.monotonic() > deadline:
            raise CaseError(f"{_LONGEST_WAIT:g} s passed before {what}")
        time.sleep(0.3)
