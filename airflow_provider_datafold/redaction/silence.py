"""Keeps HTTP clients from writing down our requests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable


def silence(loggers: Iterable[str], is_ours: Callable[[], object]) -> None:
    """Drop what a library logs, at DEBUG, of our requests: it shows paths and whole headers.

    :param loggers: the library's loggers.
    :param is_ours: whether what is logged now is about a request of ours.
    """

    def passes(record: logging.LogRecord) -> bool:
        return not is_ours()

    for name in loggers:
        logging.getLogger(name).addFilter(passes)
