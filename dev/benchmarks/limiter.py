"""A rate limit, as a service keeps it. Nothing here waits."""

from __future__ import annotations

import math


class FixedWindow:
    """Allows a number of requests in each second.

    The usual limit of a FastAPI service, such as Datafold's seems to be: it counts per window,
    and tells whoever is too many after how many whole seconds the next window opens.

    :param per_second: how many are allowed.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._opened = -math.inf
        self._taken = 0

    def retry_after(self, now: float) -> int | None:
        """Ask for one request.

        :param now: the present time in seconds.
        :return: ``None`` where it is allowed, else the whole seconds to wait.
        """
        if now - self._opened >= 1:
            # Windows lie side by side, wherever the first one began.
            self._opened = (
                now if self._opened == -math.inf else self._opened + ((now - self._opened) // 1)
            )
            self._taken = 0
        if self._taken < self._per_second:
            self._taken += 1
            return None
        return math.ceil(self._opened + 1 - now)
