"""Memory and open files of what runs for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import psutil

_EVERY = 5.0
_MOST_GROWTH = 1.05

Part = Callable[[], Iterable[int]]
"""Returns the ids of the processes that it consists of."""


@dataclass(frozen=True)
class Sample:
    """How much a part takes at a moment, all its processes together.

    :param at: the moment, in seconds from anywhere.
    :param processes: how many processes it has.
    :param memory: MB that they hold.
    :param files: how many files and sockets they have open.
    """

    at: float
    processes: int
    memory: float
    files: int


@dataclass(frozen=True)
class Growth:
    """How much a part takes in the first and in the last quarter of a run: the medians.

    :param processes: how many processes it has.
    :param memory: MB that they hold.
    :param files: how many files and sockets they have open.
    """

    processes: tuple[int, int]
    memory: tuple[float, float]
    files: tuple[int, int]

    @property
    def is_flat(self) -> bool:
        """Whether it takes no more in the end than in the beginning."""
        (memory, more_memory), (files, more_files) = self.memory, self.files
        # A median that falls between two numbers of files may be rounded up.
        return more_memory <= _MOST_GROWTH * memory and more_files <= _MOST_GROWTH * files + 1


class Watch:
    """Samples parts.

    :param parts: the parts by name.
    """

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
            self._samples[name].append(_sample(now, part()))

    def growths(self) -> dict[str, Growth]:
        """Compare the first quarter with the last one, for each part."""
        return {name: growth(samples) for name, samples in self._samples.items()}


def growth(samples: list[Sample]) -> Growth:
    """Compare the first quarter of the samples with the last one.

    :param samples: all samples of a part, at equal intervals.
    """
    quarter = max(len(samples) // 4, 1)
    quarters = samples[:quarter], samples[-quarter:]

    def medians(value: Callable[[Sample], float]) -> tuple[float, float]:
        first, last = (median(map(value, part)) for part in quarters)
        return first, last

    processes, files = (
        medians(lambda sample: sample.processes),
        medians(lambda sample: sample.files),
    )
    return Growth(
        (round(processes[0]), round(processes[1])),
        medians(lambda sample: sample.memory),
        (round(files[0]), round(files[1])),
    )


def _sample(now: float, pids: Iterable[int]) -> Sample:
    processes, memory, files = 0, 0, 0
    for pid in pids:
        with suppress(psutil.Error):  # it has ended in the meantime
            process = psutil.Process(pid)
            open_files, resident = process.num_fds(), process.memory_info().rss
            files += open_files
            memory += resident
            processes += 1
    return Sample(now, processes, memory / 1e6, files)
