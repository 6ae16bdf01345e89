"""The body of a response while it is read, up to the most bytes that it may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from airflow_provider_datafold.client.response import Response
from airflow_provider_datafold.exceptions import DatafoldAnswerError


class Body:
    """Takes in a body, piece by piece.

    :param answer: the response, of which the head has been read.
    :param largest: the most bytes that the body may have.
    :raises DatafoldAnswerError: the response announces more.
    """

    def __init__(self, answer: Response, largest: int) -> None:
        self._answer = answer
        self._largest = largest
        self._content = bytearray()
        self._check(announced_size(answer.headers))

    def __len__(self) -> int:
        return len(self._content)

    def add(self, piece: bytes) -> None:
        """Take in a piece.

        :param piece: the bytes.
        :raises DatafoldAnswerError: the body is too large.
        """
        self._content += piece
        self._check(len(self))

    def response(self) -> Response:
        """Return the response with what has been read."""
        return replace(self._answer, content=bytes(self._content))

    def _check(self, size: float) -> None:
        if size > self._largest:
            status = self._answer.status_code
            raise DatafoldAnswerError(
                f"{status}, but the response is larger than {self._largest >> 20} MiB and was not "
                f"read. The request may have been carried out. Request less at a time, or check "
                f"the connection's host",
                status_code=status,
            )


def announced_size(headers: Mapping[str, str]) -> float:
    """Return the number of bytes that a response announces, 0 if it announces none."""
    announced = headers.get("Content-Length", "")
    # A float, because Python limits the digits of a string that becomes an integer.
    return float(announced) if announced.isdecimal() else 0.0
