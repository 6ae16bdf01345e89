"""The frame of each run of a whole Airflow: logs, a throw-away folder, and an end."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from dev.local_airflow.deployment import ROOT
from dev.local_airflow.programs import ProgramError, Programs
from dev.sandbox import Sandbox

INTERRUPTED = 130
"""Exit code after an interrupt."""


def play(name: str, seconds: float, sandbox: Sandbox, run: Callable[[Programs, Path], int]) -> int:
    """Run something, for so many seconds at most. None of its programs outlives it."""
    logs = ROOT / "build" / name
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    print(f"All programs write their logs to {logs.relative_to(ROOT)}\n", flush=True)
    programs = Programs(logs, seconds)
    programs.obey_signals()
    folder = tempfile.TemporaryDirectory(prefix=f"datafold-{name}-")
    try:
        with folder as home, sandbox, programs:
            return run(programs, Path(home))
    except ProgramError as error:
        print(f"\n{programs.last_lines()}\n\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. All processes have been stopped.", file=sys.stderr)
        return INTERRUPTED
