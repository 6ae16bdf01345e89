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
TIME_OF_ALL = "import of all operators and sensors, time"

_MODULES = {
    OURS: ("airflow_provider_datafold.operators.bi",),
    THEIRS: ("airflow.providers.http.operators.http",),
}
_ALL = tuple(
    module
    for room in ("operators", "sensors")
    for module in airflow_provider_datafold.get_provider_info()[room][0]["python-modules"]
)

# A DAG file imports the DAG and the base classes anyway, so that they do not count.
_PROGRAM = """
import json, sys, time
from importlib import import_module
import psutil
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
memory = psutil.Process().memory_full_info
before, start = memory().uss, time.perf_counter()
for module in sys.argv[1:]:
    import_module(module)
seconds = time.perf_counter() - start
print(json.dumps([seconds * 1e3, (memory().uss - before) / 1e6]))
"""


def measure(rounds: int) -> list[Figure]:
    """Measure the imports.

    :param rounds: how many processes of each kind.
    :return: the time, the memory of the process's own, and the time of all modules for DAG files.
    """
    # pip compiles what it installs, but not an editable installation.
    compileall.compile_dir(Path(airflow_provider_datafold.__file__).parent, quiet=1)
    runs = {name: partial(_run, *modules) for name, modules in _MODULES.items()}
    found = interleave(runs, rounds)
    of_all = interleave({OURS: partial(_run, *_ALL)}, rounds)
    return [
        Figure(TIME, "ms", medians({name: [time for time, _ in found[name]] for name in found})),
        Figure(MEMORY, "MB", medians({name: [size for _, size in found[name]] for name in found})),
        Figure(TIME_OF_ALL, "ms", medians({OURS: [time for time, _ in of_all[OURS]]})),
    ]


def _run(*modules: str) -> tuple[float, float]:
    command = [sys.executable, "-c", _PROGRAM, *modules]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    milliseconds, megabytes = json.loads(done.stdout.splitlines()[-1])
    return milliseconds, megabytes
