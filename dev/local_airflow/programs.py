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
_LAST_LINES = 15


class ProgramError(Exception):
    """A program did not do what it was started for."""


@dataclass(frozen=True)
class Command:
    """How to start a program.

    :param name: what to call it, and its log.
    :param arguments: the program and its arguments.
    :param environment: its environment, by default that of this process.
    :param folder: its working directory, by default that of this process.
    :param account: the user that it runs as, by default that of this process.
    :param stop_signal: the signal that asks it to stop at once.
    """

    name: str
    arguments: Sequence[str | Path]
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    account: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM


class Program:
    """A running program, with all that it starts in turn.

    It leads a session of its own. A process group would not hold everything: Airflow gives
    each task a group for itself.

    :param command: how to start it.
    :param log: the file that its output is added to.
    """

    def __init__(self, command: Command, log: Path) -> None:
        self.command = command
        self._log = log
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The id of its first process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, ``None`` while it runs."""
        return self._process.poll()

    def pids(self) -> set[int]:
        """Find the processes that it consists of, with those that have outlived the first."""
        return {each.pid for each in psutil.process_iter() if _is_in(each, self._process.pid)}

    def restart(self) -> None:
        """Start it again, after what is left of it was killed."""
        self.kill()
        self._process = self._start()

    def kill(self) -> set[int]:
        """End all its processes with SIGKILL.

        :return: the ids of the processes.
        """
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

    def stop(self, seconds: float = _SECONDS_TO_STOP) -> None:
        """Ask it to stop, and kill what is left of it.

        :param seconds: how long it may take.
        """
        self._process.send_signal(self.command.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

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

    :param logs: a folder for the programs' output.
    :param seconds: how long the run may take.
    """

    def __init__(self, logs: Path, seconds: float) -> None:
        self.logs = logs
        self._limit = seconds
        self._began = time.monotonic()
        self._running: list[Program] = []
        self._interrupted = False
        self.restarts: Counter[str] = Counter()
        """How often a program was started again, by its name."""
        self._restarting: set[Program] = set()

    def __enter__(self) -> Programs:
        return self

    def __exit__(self, *_: object) -> None:
        while self._running:
            self._running.pop().stop()

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self._began

    def start(self, command: Command, *, restarts: bool = False) -> Program:
        """Start a program that has to run until it is killed or the block ends.

        :param command: how to start it.
        :param restarts: whether to start it again when it ends by itself, as a cluster does.
        :return: the program.
        """
        program = Program(command, self.logs / f"{command.name}.log")
        self._running.append(program)
        if restarts:
            self._restarting.add(program)
        return program

    def run(self, command: Command, *, may_fail: bool = False) -> None:
        """Run a program to its end.

        :param command: how to start it.
        :param may_fail: whether a failure of the program is no error.
        :raises ProgramError: it failed, or the time is over.
        """
        program = self.start(command)
        self.until(f"{command.name} has ended", lambda: program.exit_code is not None)
        self._running.remove(program)
        program.kill()
        if program.exit_code and not may_fail:
            raise ProgramError(f"{command.name} failed with exit code {program.exit_code}.")

    def kill(self, program: Program) -> set[int]:
        """Kill a program of this run with SIGKILL, as the end of a machine would.

        :param program: the program.
        :return: the ids of its processes.
        """
        self._running.remove(program)
        return program.kill()

    def stop(self, program: Program, seconds: float) -> None:
        """Stop a program of this run.

        :param program: the program.
        :param seconds: how long it may take before it is killed.
        """
        self._running.remove(program)
        program.stop(seconds)

    def until(self, what: str, condition: Callable[[], bool], every: float = 0.1) -> None:
        """Wait.

        :param what: what to wait for, in words.
        :param condition: whether it has come about.
        :param every: seconds between two looks.
        :raises ProgramError: the time is over, or a program has ended.
        :raises KeyboardInterrupt: the run is to end early.
        """
        while True:
            # Looked at before the condition, which may be that a program has ended.
            ended = [program for program in self._running if program.exit_code is not None]
            if condition():
                return
            if self._interrupted:
                raise KeyboardInterrupt
            for program in self._restarting.intersection(ended):
                ended.remove(program)
                self.restarts[program.command.name] += 1
                program.restart()
            if ended:
                raise ProgramError(f"{ended[0].command.name} ended before {what}.")
            if self.seconds > self._limit:
                raise ProgramError(f"{self._limit:g} s were over before {what}.")
            time.sleep(every)

    def forever(self) -> None:
        """Let them run for as long as nobody interrupts.

        :raises ProgramError: a program has ended.
        :raises KeyboardInterrupt: the run is to end early.
        """
        self._limit = math.inf
        self.until("an interrupt", lambda: False)

    def last_lines(self) -> str:
        """Give the ends of all logs."""
        return "\n".join(
            "\n".join(
                [f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-_LAST_LINES:]]
            )
            for log in sorted(self.logs.glob("*.log"))
        )

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
