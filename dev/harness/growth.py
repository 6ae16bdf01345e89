"""Memory and open files of what runs for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from statistics import median
from typing import NamedTuple

import psutil

_EVERY = 5.0
_MOST_GROWTH = 1.05

Part = Callable[[], Iterable[int]]
"""Returns the ids of the processes that it consists of."""


class Sample(NamedTuple):
    """How much the processes of a part take together: MB, and open files and sockets."""

    processes: float
    memory: float
    files: float

    def __str__(self) -> str:
        return f"{self.processes:.0f} processes, {self.memory:.1f} MB, {self.files:.0f} files"


class Growth(NamedTuple):
    """How much a part takes in the first and in the last quarter of a run: the medians."""

    first: Sample
    last: Sample

    @property
    def is_flat(self) -> bool:
        """Whether it takes no more in the end than in the beginning."""
        return (
            self.last.memory <= _MOST_GROWTH * self.first.memory
            # A median may fall between two numbers of files.
            and self.last.files <= _MOST_GROWTH * self.first.files + 1
        )


class Watch:
    """Samples parts, which have names."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = parts
        self._samples: dict[str, list[Sample]] = {name: [] for name in parts}
        self._next = 0.0

    def look(self) -> None:
        """Take a sample of each part, if it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY
        for name, part in self._parts.items():
            self._samples[name].append(_sample(part()))

    def growths(self) -> dict[str, Growth]:
        """Compare the first quarter with the last one, for each part."""
        return {name: growth(samples) for name, samples in self._samples.items()}


def growth(samples: Sequence[Sample]) -> Growth:
    """Compare the first quarter of a part's samples with the last one."""
    quarter = max(len(samples) // 4, 1)
    return Growth(_medians(samples[:quarter]), _medians(samples[-quarter:]))


def _medians(samples: Sequence[Sample]) -> Sample:
    return Sample(*map(median, zip(*samples, strict=True)))


def _sample(pids: Iterable[int]) -> Sample:
    processes, memory, files = 0, 0, 0
    for pid in pids:
        with suppress(psutil.Error):  # it has ended in the meantime
            process = psutil.Process(pid)
            open_files, resident = process.num_fds(), process.memory_info().rss
            files += open_files
            memory += resident
            processes += 1
    return Sample(processes, memory / 1e6, files)
