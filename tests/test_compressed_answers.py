"""Answers that are packed as their Content-Encoding says."""

from __future__ import annotations

import gzip
from typing import Any

from airflow_provider_datafold import exceptions
from dev.faults.behaviours import answers, bomb
from tests.sending import ask, failure


def test_packed_answer_is_unpacked(serve: Any) -> None:
    serve(answers(200, gzip.compress(b'{"a": 1}'), {"Content-Encoding": "gzip"}))
    assert ask() == {"a": 1}


def test_answer_that_can_not_be_unpacked(serve: Any) -> None:
    serve(answers(200, b"no gzip", {"Content-Encoding": "gzip"}))
    error = failure(exceptions.DatafoldAnswerError)
    assert "Content-Encoding" in str(error)
    assert "may have been carried out" in str(error)


def test_answer_that_is_huge_when_unpacked(serve: Any) -> None:
    serve(bomb(1), extra={"timeout": 60})
    error = failure(exceptions.DatafoldAnswerError)
    assert error.status_code == 200
    assert "10 MiB" in str(error)
