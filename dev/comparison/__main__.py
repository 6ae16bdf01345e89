"""The process of a comparison: ``python -m dev.comparison``.

It reads a line of JSON, the question, and writes lines of JSON: ``{"step": 1}`` for its progress,
and finally a ``status`` with an ``answer`` or an ``error``. It exits when its input is closed,
because then no caller waits for the answer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from dev.comparison.answer import answer
from dev.comparison.workspace import ReadError


def main() -> None:
    """Answer one question."""
    question = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_when_forgotten, daemon=True).start()
    _write(step=0)
    try:
        _write(status="done", answer=answer(question, lambda number: _write(step=number)))
    except ReadError as error:
        found = {"error_type": error.kind, "error_value": str(error)}
        _write(status="failed", error={**found, "is_retryable": error.is_retryable})


def _leave_when_forgotten() -> None:
    sys.stdin.read()
    # Nothing else would end a running query.
    os._exit(1)


def _write(**line: Any) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
