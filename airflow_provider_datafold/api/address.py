"""Checks of what a request is addressed to: its method and its path."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_datafold.api.fields import input_error, text

_METHOD = re.compile(r"[A-Za-z]{1,20}")
_PATH = re.compile(r"/[!-\"$-~]*")
_DOTS = re.compile(r"/(?:\.|%2[eE]){1,2}(?=[/?]|$)")


def method(field: str, value: Any) -> str:
    """Check an HTTP method in any case, and return it in capital letters."""
    if isinstance(value, str) and _METHOD.fullmatch(value):
        return value.upper()
    raise input_error(field, value, "must be an HTTP method, e.g. 'GET'")


def path(field: str, value: Any) -> str:
    """Check a path on the service's host, so that no request goes to another host or path."""
    if isinstance(value, str) and _PATH.fullmatch(value) and not _DOTS.search(value):
        return value
    raise input_error(
        field, value, "must be a path that begins with '/' and has no '..', e.g. '/api/v1/monitors'"
    )


def path_part(field: str, value: Any) -> str:
    """Check one part of a path: HTTP clients would collapse ``.`` and ``..``."""
    part = text(field, value)
    if part in ("", ".", ".."):
        raise input_error(field, value, "must not be empty, '.' or '..'")
    return part
