"""Compressed responses: none are requested, and none are accepted."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from airflow_provider_datafold import exceptions
from dev.faults.behaviours import answers, bomb
from dev.faults.server import Behaviour
from tests.sending import ask, failure


@pytest.mark.parametrize(
    ("behaviour", "encoding"),
    [
        (answers(200, gzip.compress(b'{"a": 1}'), {"Content-Encoding": "gzip"}), "gzip"),
        (answers(200, b"no gzip", {"Content-Encoding": "gzip"}), "gzip"),
        (answers(200, b'{"a": 1}', {"Content-Encoding": "br"}), "br"),
        (bomb(1), "gzip"),
        (bomb(2), "gzip, gzip"),
    ],
    ids=["packed", "broken", "another encoding", "huge", "huge twice"],
)
def test_compressed_response_is_refused(serve: Any, behaviour: Behaviour, encoding: str) -> None:
    server = serve(behaviour, extra={"timeout": 60, "max_retries": 3})
    error = failure(exceptions.DatafoldAnswerError)
    assert error.status_code == 200
    assert f"compressed ({encoding})" in str(error)
    assert "may have been carried out" in str(error)
    (request,) = server.requests
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", "IDENTITY"])
def test_response_that_says_it_is_not_compressed_is_accepted(serve: Any, encoding: str) -> None:
    serve(answers(200, b'{"a": 1}', {"Content-Encoding": encoding}))
    assert ask() == {"a": 1}


def test_packed_refusal_is_told_by_its_status(serve: Any) -> None:
    serve(answers(401, gzip.compress(b"{}"), {"Content-Encoding": "gzip"}))
    failure(exceptions.DatafoldAuthenticationError)
