"""Interrupt a test by a real signal, as Airflow interrupts a task."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def on_signal(do: Callable[[], object], condition: Callable[[], object]) -> Iterator[None]:
    """Do something in a signal handler, half a second after a condition holds."""
    before = signal.signal(signal.SIGUSR1, lambda *_: do())
    over = threading.Event()

    def wait() -> None:
        while not condition() and not over.wait(0.02):
            pass
        # A signal after a test that failed early would end the whole process.
        if not over.wait(0.5):
            os.kill(os.getpid(), signal.SIGUSR1)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)


def at_each_line(
    do: Callable[[], object], at: Callable[[str], object], of: tuple[str, ...]
) -> None:
    """Do something, with a call before each line of files whose paths end so.

    A handler of a signal runs between two steps of the program, as this does.
    """

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.endswith(of):
            return None
        if event == "line":
            at(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        return trace

    # Coverage has its own.
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        do()
    finally:
        sys.settrace(before)
