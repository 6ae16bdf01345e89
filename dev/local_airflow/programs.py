"""Programs that run beside this one: started, watched, and in the end stopped."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_SECONDS_TO_STOP = 10


class ProgramError(Exception):
    """A program did not do what it was started for."""


@dataclass(frozen=True)
class Command:
    """How to start a program; what is not given is that of this process."""

    name: str
    arguments: Sequence[str | Path]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    account: str | None = None
    stop_signal: signal.Signals = signal.SIGKILL  # stops it at once


class Program:
    """A running program, with all that it starts in turn.

    It leads a session of its own. A process group would not hold everything: Airflow gives
    each task a group for itself.
    """

    def __init__(self, command: Command, log: Path, *, restarts: bool, may_end: bool) -> None:
        self.command, self.restarts, self.may_end = command, restarts, may_end
        self.is_over = False
        """Whether it was killed or stopped: another program may have the ids of its processes."""
        self._log = log
        self._process = self._start()

    @property
    def exit_code(self) -> int | None:
        """How it ended, ``None`` while it runs."""
        return self._process.poll()

    def pids(self) -> set[int]:
        """Find the processes that it consists of, with those that have outlived the first."""
        return {each.pid for each in psutil.process_iter() if _is_in(each, self._process.pid)}

    def restart(self) -> None:
        """Start it again, after what is left of it was killed."""
        self._kill()
        self._process = self._start()

    def kill(self) -> set[int]:
        """End all its processes as the end of a machine would, and return their ids."""
        self.is_over = True
        return self._kill()

    def stop(self, how: signal.Signals, seconds: float = _SECONDS_TO_STOP) -> None:
        """Ask it to stop with a signal, and kill what is left of it after some seconds."""
        self.is_over = True
        self._process.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._kill()

    def _kill(self) -> set[int]:
        killed: set[int] = set()
        deadline = time.monotonic() + _SECONDS_TO_STOP
        # Again and again: a process may start another one just before it is killed.
        while (pids := self.pids()) and time.monotonic() < deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed |= pids
            time.sleep(0.01)
        self._process.wait()
        return killed

    def _start(self) -> subprocess.Popen[bytes]:
        command = self.command
        with self._log.open("ab") as output:
            return subprocess.Popen(
                command.arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=command.environment,
                cwd=command.folder,
                user=command.account,
                group=command.account,
                extra_groups=None if command.account is None else [],
                start_new_session=True,
            )


class Programs:
    """All programs of a run; none of them outlives the ``with`` block.

    Whoever wants to end the run early calls :meth:`interrupt`. It is heeded in :meth:`until`
    only, and so never between the start of a program and the note of it.
    """

    def __init__(self, logs: Path, seconds: float) -> None:
        self.logs = logs
        self._limit = seconds
        self._began = time.monotonic()
        self._started: list[Program] = []
        self._interrupted = False
        self.restarts: Counter[str] = Counter()
        """How often a program was started again, by its name."""

    def __enter__(self) -> Programs:
        return self

    def __exit__(self, *_: object) -> None:
        while self._started:
            program = self._started.pop()
            if not program.is_over:
                program.stop(program.command.stop_signal)

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self._began

    def start(self, command: Command, *, restarts: bool = False, may_end: bool = False) -> Program:
        """Start a program, which must not end by itself unless it may, or is then restarted."""
        log = self.logs / f"{command.name}.log"
        program = Program(command, log, restarts=restarts, may_end=may_end)
        self._started.append(program)
        return program

    def run(self, command: Command, *, may_fail: bool = False) -> None:
        """Run a program to its end."""
        program = self.start(command, may_end=True)
        self.until(f"{command.name} had ended", lambda: program.exit_code is not None)
        program.kill()
        if program.exit_code and not may_fail:
            raise ProgramError(f"{command.name} failed with exit code {program.exit_code}.")

    def until(self, what: str, condition: Callable[[], bool], every: float = 0.1) -> None:
        """Wait until something has happened, and look every so many seconds.

        :raises ProgramError: the time is over, or a program has ended.
        :raises KeyboardInterrupt: the run is to end early.
        """
        while not condition():
            if self._interrupted:
                raise KeyboardInterrupt
            for program in self._started:
                if program.is_over or program.exit_code is None:
                    continue
                if program.restarts:
                    self.restarts[program.command.name] += 1
                    program.restart()
                elif not program.may_end:
                    raise ProgramError(f"{program.command.name} ended before {what}.")
            if self.seconds > self._limit:
                raise ProgramError(f"{self._limit:g} s were over before {what}.")
            time.sleep(every)

    def forever(self) -> None:
        """Let them run until an interrupt, or until one of them ends."""
        self._limit = math.inf
        self.until("an interrupt", lambda: False)

    def last_lines(self) -> str:
        """Return the ends of all logs."""
        lines = []
        for log in sorted(self.logs.glob("*.log")):
            lines += [f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-15:]]
        return "\n".join(lines)

    def obey_signals(self) -> None:
        """Let the signals that ask a program to stop end the run early."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.interrupt)

    def interrupt(self, *_: object) -> None:
        """End the run early; fit to be a signal's handler."""
        self._interrupted = True


def _is_in(process: psutil.Process, session: int) -> bool:
    with suppress(OSError, psutil.Error):  # it has ended in the meantime
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    return False
