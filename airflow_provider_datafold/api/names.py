"""Checks of the names of tables and columns, which must arrive as they were given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.api.fields import Check

_TEMPLATE = re.compile(r"\{[{%#]")
_NAME = (
    "must be a name, a string that is not blank (native rendering turns a name like a number into "
    "that number)"
)
_PART = r"""(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|[^."`\s][^."`]*)"""
_PARTS = re.compile(_PART)
_PATH = re.compile(rf"{_PART}(?:\.{_PART})*")


def names(field: str, value: Any) -> list[str]:
    """Check a list of names, none of them blank or a number.

    With native rendering, the number 202401 would have been the name ``2024_01``.
    """
    items = fields.sequence(field, value, "must be a list of strings, e.g. ['a', 'b']")
    for index, item in enumerate(items):
        if not isinstance(item, str) or not item.strip():
            raise fields.input_error(f"{field}[{index}]", item, _NAME)
    return fields.texts(field, items)


def is_template(value: Any) -> bool:
    """Return whether Airflow would take a value, or something in it, for a template."""
    return bool(_TEMPLATE.search(str(value)))


def _path(example: str, field: str, value: Any) -> list[str]:
    """Check a path: a list of parts, also as a literal, or a string with dots between them.

    In the string a part may be quoted with ``"`` or `````: dots inside the quotes do not separate
    parts, and the quote itself is doubled.
    """
    # A table's name may look like another literal: 'true', or '1.5'.
    spelled = fields.literal(value)
    if isinstance(spelled, Sequence) and spelled and not isinstance(spelled, str):
        return names(field, spelled)
    is_dotted = isinstance(value, str) and not isinstance(spelled, (dict, set, list, tuple))
    if is_dotted and _PATH.fullmatch(value.strip()):
        return [_unquoted(part) for part in _PARTS.findall(value.strip())]
    raise fields.input_error(
        field,
        value,
        f"must be a list of path parts or a dotted string, e.g. {example.split('.')} or "
        f"{example!r} (quote a part that contains a dot: 'DB.\"my.table\"')",
    )


def _unquoted(part: str) -> str:
    quote = part[0]
    if quote not in '"`':
        return part.strip()
    return part[1:-1].replace(quote * 2, quote)


table_path: Check = partial(_path, "DB.SCHEMA.TABLE")
schema_path: Check = partial(_path, "DB.SCHEMA")
