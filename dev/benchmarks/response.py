"""Bytes of a response, for services that are as small as possible."""

from __future__ import annotations


def response(status: str, content: bytes, header: str = "") -> bytes:
    """Return a response whole.

    :param status: code and reason.
    :param content: the body, JSON.
    :param header: further header lines, each with its end.
    :return: the bytes.
    """
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n{header}\r\n"
    )
    return head.encode() + content
