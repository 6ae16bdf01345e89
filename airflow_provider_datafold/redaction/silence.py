"""Keep HTTP clients from logging our requests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable


def silence(loggers: Iterable[str], is_ours: Callable[[], object]) -> None:
    """Drop a library's logs while ``is_ours``: of our requests they show paths and headers."""

    def passes(record: logging.LogRecord) -> bool:
        return not is_ours()

    for name in loggers:
        logging.getLogger(name).addFilter(passes)
