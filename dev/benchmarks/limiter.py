"""The rate limit of a service. Nothing here waits."""

from __future__ import annotations

import math


class FixedWindow:
    """A limit for the number of requests in each second.

    FastAPI services, such as Datafold's seems to be, usually count requests per window, and
    refuse a further one with the whole seconds until the next window.

    :param per_second: how many requests are allowed.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._opened = -math.inf
        self._taken = 0

    def retry_after(self, now: float) -> int | None:
        """Count a request, and return how long it has to wait.

        :param now: the present time in seconds.
        :return: ``None`` where it is allowed, else the whole seconds.
        """
        if now - self._opened >= 1:
            # Windows follow each other without a gap, even where no request came in between.
            self._opened = (
                now if self._opened == -math.inf else self._opened + ((now - self._opened) // 1)
            )
            self._taken = 0
        if self._taken < self._per_second:
            self._taken += 1
            return None
        return math.ceil(self._opened + 1 - now)
