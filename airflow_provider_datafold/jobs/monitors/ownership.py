"""Monitors as code: the tags that say whose a monitor is, and how it was applied.

A set is what one task applies. A monitor of a set has two tags: ``airflow-set:<set>/<slug>``, and
``airflow-spec:<fingerprint>``, because Datafold does not return all fields of a monitor. Both are
in small letters, and no part of them has a slash or a comma: the service may change the case of
tags, and separates them with commas.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

SET = "airflow-set:"
SPEC = "airflow-spec:"
_PAUSED = "-paused"
_MARK = re.compile(rf"{SPEC}(([0-9a-f]{{8}}-[0-9a-f]{{8}})({_PAUSED})?|{_PAUSED})")

_NOT_PLAIN = re.compile(r"[^a-z0-9_.-]")


def tags_of(set_name: str, slug: str, fingerprint: str) -> list[str]:
    """Return the tags of a monitor."""
    return [f"{SET}{_quoted(set_name)}/{_quoted(slug)}", f"{SPEC}{fingerprint}"]


def owners(tags: Iterable[str]) -> set[tuple[str, str]]:
    """Return the pairs of set and slug that a monitor's tags name."""
    return {owner for tag in tags if (owner := _owner(tag))}


def fingerprint_in(tags: Iterable[str]) -> str:
    """Return the fingerprint with which a monitor was applied, empty if it has none."""
    return next(filter(_MARK.fullmatch, map(str.lower, tags)), "")[len(SPEC) :]


def pause(fingerprint: str) -> str:
    """Mark a fingerprint: the monitor is paused only because no file has it any more."""
    return fingerprint.removesuffix(_PAUSED) + _PAUSED


def unpause(fingerprint: str) -> tuple[str, bool]:
    """Return a fingerprint without that mark, and whether it had it."""
    return fingerprint.removesuffix(_PAUSED), fingerprint.endswith(_PAUSED)


def others(tags: Iterable[str]) -> list[str]:
    """Return the tags that are not ours."""
    return [tag for tag in tags if not is_ours(tag)]


def is_ours(tag: str) -> bool:
    """Return whether the operator writes such a tag."""
    return bool(_owner(tag) or _MARK.fullmatch(tag.lower()))


def _owner(tag: str) -> tuple[str, str] | None:
    """Return set and slug of a tag, ``None`` if the operator would write it in another way."""
    set_name, _, slug = tag.lower().removeprefix(SET).partition("/")
    owner = unquote(set_name), unquote(slug)
    is_ours = all(map(str.strip, owner)) and tag.lower() == tags_of(*owner, "")[0]
    return owner if is_ours else None


def _quoted(text: str) -> str:
    return _NOT_PLAIN.sub(lambda found: "".join(f"%{byte:02x}" for byte in found[0].encode()), text)
