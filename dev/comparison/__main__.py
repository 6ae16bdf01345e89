"""The process of a comparison: ``python -m dev.comparison``.

It reads a question as a line of JSON, and writes lines of JSON: ``{"step": 1}`` for its progress,
and finally ``{"answer": ...}`` or ``{"error": ...}``. It exits when its input is closed, because
then no caller waits for the answer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import duckdb

from dev.comparison.compare import compare
from dev.comparison.question import Question
from dev.comparison.reading import read
from dev.comparison.table import ReadError


def main() -> None:
    """Answer one question."""
    question = Question.load(sys.stdin.readline())
    threading.Thread(target=_leave_when_forgotten, daemon=True).start()
    _tell(step=0)
    try:
        if question.shows:
            _tell(answer=read(question))
        else:
            _tell(answer=compare(question, lambda number: _tell(step=number)))
    except ReadError as error:
        _tell(error=_error(error.kind, str(error), error.is_retryable))
    except duckdb.Error as error:
        _tell(error=_error("QueryError", str(error)))


def _leave_when_forgotten() -> None:
    sys.stdin.read()
    # Nothing else would end a running query.
    os._exit(1)


def _tell(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def _error(kind: str, message: str, is_retryable: bool | None = None) -> dict[str, Any]:
    return {"error_type": kind, "error_value": message, "is_retryable": is_retryable}


if __name__ == "__main__":
    main()
