"""Blocking work for an event loop, in threads of its own.

asyncio's own threads are few and shared by everything in the process: a few look-ups that hang
would hold up all triggers of a triggerer.
"""

from __future__ import annotations

import asyncio
import copy
import os
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from airflow_provider_datafold.client import failure

Done = TypeVar("Done")

_running: dict[Hashable, Future[Any]] = {}


async def run(key: Hashable, work: Callable[[], Done]) -> Done:
    """Do some work in a thread, once for all who ask for the same at the same time.

    Who stops waiting leaves the thread to itself: it ends by its own, and never keeps the process
    from ending.

    :param key: says what the work is.
    :param work: does it.
    :return: what the work returns.
    :raises DatafoldUnreachableError: no thread could be started.
    :raises Exception: what the work raises.
    """
    # A fork copies no thread.
    place = (os.getpid(), key)
    future = _running.get(place)
    if future is None:
        future = _running[place] = Future()
        # Else the first who stops waiting would cancel it for all.
        future.set_running_or_notify_cancel()
        try:
            threading.Thread(target=_do, args=(place, future, work), daemon=True).start()
        except RuntimeError:
            _end(place, future, None, failure.no_thread())
    done, error = await asyncio.wrap_future(future)
    if error is not None:
        # A copy for each who waits: raising one changes its context and its traceback.
        raise copy.copy(error)
    result: Done = done
    return result


def _do(place: Hashable, future: Future[Any], work: Callable[[], Any]) -> None:
    done, error = None, None
    try:
        done = work()
    except Exception as raised:
        error = raised
    _end(place, future, done, error)


def _end(place: Hashable, future: Future[Any], done: Any, error: Exception | None) -> None:
    # First, so that nobody waits for what has ended.
    _running.pop(place, None)
    future.set_result((done, error))
