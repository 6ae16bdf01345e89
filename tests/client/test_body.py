"""How much of a response is read."""

from __future__ import annotations

import pytest

from airflow_provider_datafold.client.body import announced_size


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({}, 0.0),
        ({"Content-Length": "12"}, 12.0),
        ({"Content-Length": "9" * 400}, float("inf")),
        ({"Content-Length": "-1"}, 0.0),
        ({"Content-Length": "1.5"}, 0.0),
        ({"Content-Length": ""}, 0.0),
    ],
)
def test_the_size_that_a_response_announces(headers: dict[str, str], size: float) -> None:
    assert announced_size(headers) == size
