"""What goes wrong while a task waits for a job, and for how long it may. Nothing here does I/O."""

from __future__ import annotations

import math

from airflow_provider_datafold.exceptions import (
    DatafoldAnswerError,
    DatafoldError,
    DatafoldNotFoundError,
    DatafoldPermissionError,
    DatafoldStoppedError,
    DatafoldTransientError,
)

DEADLINE = "deadline"
TROUBLE = "trouble"
"""What a trigger says instead of a job's state when its wait ended before the job."""

PASSING = (DatafoldTransientError, DatafoldAnswerError)
"""Errors of a look after which the wait goes on. A proxy's page that says 200 passes like a 503."""

REFUSALS = (DatafoldPermissionError, DatafoldNotFoundError)
"""Errors of a look that pass if there is one of them, and are believed if they stay: a service that
is being deployed says 404 for a moment, and so does a list that does not show a new run yet."""

LONGEST_TROUBLE = 3600.0
"""Seconds that every look at a job may fail in a row before the wait gives up."""

LONGEST_REFUSAL = 60.0
"""Seconds after which refusals in a row are believed."""

REFUSAL_PAUSE = 15.0
"""The most seconds between a refusal and the next look, so that it is soon known what it means."""

AFTER_TROUBLE = 60.0
"""Seconds before the triggerer looks again if a worker had to look for it: each such look takes a
worker slot for a moment."""


class Trouble:
    """The failures in a row since a look at the job last succeeded.

    :param is_lasting: whether they have lasted too long already, so that the next look decides.
    """

    def __init__(self, *, is_lasting: bool = False) -> None:
        self._since = self._refused_since = -math.inf if is_lasting else None
        self._asked = 0.0

    def is_final(self, error: Exception, now: float) -> bool:
        """Note a failure, and return whether the wait must give up."""
        if isinstance(error, DatafoldStoppedError):
            return True
        self._asked = (error.retry_after if isinstance(error, DatafoldError) else None) or 0.0
        self._since = now if self._since is None else self._since
        if isinstance(error, PASSING):
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        is_believed = (
            self._refused_since is not None and now - self._refused_since > LONGEST_REFUSAL
        )
        return is_believed or now - self._since > LONGEST_TROUBLE

    def end(self) -> None:
        """Note that a look succeeded."""
        self._since = self._refused_since = None
        self._asked = 0.0

    def pause(self, usual: float) -> float:
        """Return the seconds until the next look."""
        soon = usual if self._refused_since is None else min(usual, REFUSAL_PAUSE)
        return max(soon, self._asked)
