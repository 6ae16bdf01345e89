"""Two processes that share a hook after a fork each get their own responses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from dev.faults.behaviours import answer
from dev.faults.server import Call, FaultServer, Step, Then
from tests.conftest import ROOT

# The parent sends while the child's response is in transit, which the parent must not read.
FORK = """
import os
import signal
import time

from airflow_provider_datafold.hooks.datafold import DatafoldHook

hook = DatafoldHook()

def is_wrong(number):
    try:
        return hook.get_integration(number) != {"id": number}
    except Exception:
        return True

wrong = is_wrong(1)
reader, writer = os.pipe()
child = os.fork()
if child:
    os.read(reader, 1)
    time.sleep(0.5)
    os.kill(child, signal.SIGSTOP)
    wrong += is_wrong(1000)
    os.kill(child, signal.SIGCONT)
else:
    os.write(writer, b"x")
    wrong += is_wrong(2000)
first = 1001 if child else 2001
wrong += sum(map(is_wrong, range(first, first + 59)))
if not child:
    os._exit(wrong)
_, status = os.waitpid(child, 0)
print("wrong:", wrong, os.waitstatus_to_exitcode(status))
"""


def tells_the_id(call: Call) -> Iterable[Step]:
    assert call.request is not None
    number = int(call.request.target.rstrip("/").rpartition("/")[2])
    pause = 1.5 if number == 2000 else 0
    return [pause, answer(200, json.dumps({"id": number}).encode()), Then.KEEP]


def test_each_process_gets_its_own_responses(connect: Any) -> None:
    with FaultServer([tells_the_id]) as server:
        extra = {"timeout": 5, "max_retries": 0}
        connect(
            "datafold_default", host=f"http://127.0.0.1:{server.port}", extra=extra, password="k"
        )
        done = subprocess.run(
            [sys.executable, "-c", FORK],
            env={**os.environ, "PYTHONPATH": str(ROOT), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "wrong: 0 0" in done.stdout, done.stdout + done.stderr
        assert len(server.requests) == 121
