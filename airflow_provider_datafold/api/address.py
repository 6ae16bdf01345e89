"""Checks of what a request is addressed to: its method and its path."""

from __future__ import annotations

import re
from typing import Any

from airflow_provider_datafold.api.fields import input_error, text

_METHOD = re.compile(r"[A-Za-z]{1,20}")
_PATH = re.compile(r"/[!-\"$-~]*")
_DOTS = re.compile(r"/(?:\.|%2[eE]){1,2}(?=[/?]|$)")


def method(field: str, value: Any) -> str:
    """Check an HTTP method.

    :param field: the field's name, for the error.
    :param value: the method, in any case.
    :return: the method in capital letters.
    :raises DatafoldInputError: the value is anything else.
    """
    if isinstance(value, str) and _METHOD.fullmatch(value):
        return value.upper()
    raise input_error(field, value, "must be an HTTP method, e.g. 'GET'")


def path(field: str, value: Any) -> str:
    """Check a path on the service's host, so that no request goes to another host or path.

    :param field: the field's name, for the error.
    :param value: printable ASCII that begins with a slash and has no part ``.`` or ``..``.
    :return: the value itself.
    :raises DatafoldInputError: the value is anything else.
    """
    if isinstance(value, str) and _PATH.fullmatch(value) and not _DOTS.search(value):
        return value
    raise input_error(
        field, value, "must be a path that begins with '/' and has no '..', e.g. '/api/v1/monitors'"
    )


def path_part(field: str, value: Any) -> str:
    """Check one part of a path, before it is quoted.

    :param field: the field's name, for the error.
    :param value: a non-empty string other than ``.`` and ``..``: HTTP clients would collapse
        these, and the request would go to another path.
    :return: the string, unquoted.
    :raises DatafoldInputError: the value is anything else.
    """
    part = text(field, value)
    if part in ("", ".", ".."):
        raise input_error(field, value, "must not be empty, '.' or '..'")
    return part
