"""What an import costs a DAG file over ``airflow.sdk``, in fresh processes."""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import airflow_provider_datafold
from dev.benchmarks.figure import OURS, THEIRS, Figure, interleave, medians

TIME = "import, time"
MEMORY = "import, memory"

_MODULES = {
    OURS: "airflow_provider_datafold.operators.bi",
    THEIRS: "airflow.providers.http.operators.http",
}

# A DAG file imports the DAG and an operator's base class anyway, so that they do not count.
_PROGRAM = """
import json, sys, time
from importlib import import_module
import psutil
from airflow.sdk import DAG, BaseOperator
memory = psutil.Process().memory_full_info
before, start = memory().uss, time.perf_counter()
import_module(sys.argv[1])
seconds = time.perf_counter() - start
print(json.dumps([seconds * 1e3, (memory().uss - before) / 1e6]))
"""


def measure(rounds: int) -> list[Figure]:
    """Measure the imports.

    :param rounds: how many processes of each kind.
    :return: the time, and the memory of the process's own.
    """
    # pip compiles what it installs, but not an editable installation.
    compileall.compile_dir(Path(airflow_provider_datafold.__file__).parent, quiet=1)
    found = interleave({name: partial(_run, module) for name, module in _MODULES.items()}, rounds)
    return [
        Figure(TIME, "ms", medians({name: [time for time, _ in found[name]] for name in found})),
        Figure(MEMORY, "MB", medians({name: [size for _, size in found[name]] for name in found})),
    ]


def _run(module: str) -> tuple[float, float]:
    command = [sys.executable, "-c", _PROGRAM, module]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    milliseconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return milliseconds, megabytes
