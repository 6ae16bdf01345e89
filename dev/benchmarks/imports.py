"""What an import costs a DAG file over ``airflow.sdk``, in fresh processes."""

from __future__ import annotations

import compileall
import subprocess
import sys
from functools import partial
from pathlib import Path

import airflow_provider_datafold
from dev.benchmarks.figure import OURS, THEIRS, Figure, interleave, medians

TIME = "import of one section's operators"
TIME_OF_ALL = "import of all operators and sensors"

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
import sys, time
from importlib import import_module
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator
start = time.perf_counter()
for module in sys.argv[1:]:
    import_module(module)
print((time.perf_counter() - start) * 1e3)
"""


def measure(rounds: int) -> list[Figure]:
    """Measure the imports.

    :param rounds: how many processes of each kind.
    :return: the time of one module, and of all modules for DAG files.
    """
    # pip compiles what it installs, but not an editable installation.
    compileall.compile_dir(Path(airflow_provider_datafold.__file__).parent, quiet=1)
    runs = {name: partial(_run, *modules) for name, modules in _MODULES.items()}
    of_all = {OURS: partial(_run, *_ALL)}
    return [
        Figure(TIME, "ms", medians(interleave(runs, rounds))),
        Figure(TIME_OF_ALL, "ms", medians(interleave(of_all, rounds))),
    ]


def _run(*modules: str) -> float:
    command = [sys.executable, "-c", _PROGRAM, *modules]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])
