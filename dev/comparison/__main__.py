"""The process of a comparison: ``python -m dev.comparison``.

It reads a pickled question, and writes lines of JSON: ``{"step": 1}`` for its progress, and finally
``{"answer": ...}`` or ``{"error": ...}``. It exits when its input is closed, because then no caller
waits for the answer.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from typing import Any

from dev.comparison.answer import compare, show
from dev.comparison.table import ReadError


def main() -> None:
    """Answer one question."""
    question = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    threading.Thread(target=_leave_when_forgotten, daemon=True).start()
    _write(step=0)
    try:
        if question.shows:
            _write(answer=show(question))
        else:
            _write(answer=compare(question, lambda number: _write(step=number)))
    except ReadError as error:
        found = {"error_type": error.kind, "error_value": str(error)}
        _write(error={**found, "is_retryable": error.is_retryable})


def _leave_when_forgotten() -> None:
    sys.stdin.buffer.read()
    # Nothing else would end a running query.
    os._exit(1)


def _write(**line: Any) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
