"""Responses that take time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Later:
    """A response that is made while other requests are served.

    :param work: makes it. It runs in another thread, without the state's lock.
    """

    work: Callable[[], Any]
