"""How well the sandbox serves."""

from __future__ import annotations

import random
import time


class Weather:
    """How well the service is today.

    :param flaky: share of calls, from 0 to 1, that are answered with 429 or 503 at random.
    :param rate: calls a second that are let through, the rest is answered with 429; 0 for no
        limit.
    :param seed: seed of the random numbers, so that a run can be repeated.
    """

    def __init__(self, flaky: float = 0.0, rate: float = 0.0, seed: int = 0) -> None:
        self._flaky = flaky
        self._rate = rate
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        # One at least, or a rate below one would let nothing through.
        self._most = self._tokens = max(1.0, rate)
        self._seen = time.monotonic()

    def refusal(self) -> int | None:
        """Say what to answer to the next call: a status, or ``None`` to let it through."""
        if self._rate:
            now = time.monotonic()
            self._tokens = min(self._most, self._tokens + (now - self._seen) * self._rate)
            self._seen = now
            if self._tokens < 1:
                return 429
            self._tokens -= 1
        if self._random.random() < self._flaky:
            return self._random.choice((429, 503))
        return None
