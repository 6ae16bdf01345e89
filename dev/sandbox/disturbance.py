"""What goes wrong between a caller and the sandbox."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Delay:
    """How many seconds a request waits: a caller who leaves before is not served."""

    before: float = 0.0
    after: float = 0.0


NO_DELAY = Delay()


class Disturbance:
    """Refuses or slows a part of the requests: a share, or above a rate a second."""

    def __init__(
        self,
        flaky: float = 0.0,
        rate: float = 0.0,
        delay: Callable[[str, str, bytes], Delay] = lambda method, path, body: NO_DELAY,
    ) -> None:
        self.delay = delay
        self._flaky = flaky
        self._rate = rate
        self._random = random.Random(0)  # noqa: S311 - nothing secret
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
