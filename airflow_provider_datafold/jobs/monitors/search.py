"""Find monitors by what people call them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.monitors import ownership
from airflow_provider_datafold.jobs.monitors.account import Found, read_account

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook


def texts(field: str, value: Any) -> list[str] | None:
    """Check names or tags: one, a list, or none."""
    value = fields.undo_none(value)
    if value is None:
        return None
    if isinstance(value, str) and not isinstance(fields.literal(value), list):
        value = [value]
    found = [fields.name(field, item) for item in fields.sequence(field, value)]
    if not found:
        raise fields.input_error(field, value, "must not be empty")
    return found


def find(
    hook: JobHook,
    tags: Sequence[str] | None,
    names: Sequence[str] | None,
    set_name: str | None,
) -> list[int]:
    """Return the ids of the monitors that fit all that is given.

    Each of the names must be one of a monitor.
    """
    if (tags, names, set_name) == (None, None, None):
        raise DatafoldInputError(
            "tags, names, set_name: at least one of them must be given. Nothing was sent."
        )
    account = read_account(hook)
    _check_names(account, names or ())
    found = [
        monitor.monitor_id
        for monitor in account
        if {*map(str.casefold, tags or ())} <= {tag.strip().casefold() for tag in monitor.tags}
        and (names is None or _key(monitor.name) in map(_key, names))
        and (set_name is None or _is_in(set_name, monitor))
    ]
    if not found:
        raise DatafoldInputError(f"No monitor {_wanted(tags, names, set_name)}.")
    return sorted(found)


def _key(name: str) -> str:
    return name.strip().casefold()


def _is_in(set_name: str, monitor: Found) -> bool:
    _, is_paused = ownership.unpause(ownership.fingerprint_in(monitor.tags))
    return not is_paused and any(owner == set_name for owner, _ in monitor.owners)


def _check_names(account: Sequence[Found], names: Sequence[str]) -> None:
    known = {_key(monitor.name): monitor for monitor in account}
    for name in names:
        if _key(name) not in known:
            near = [known[key] for key in get_close_matches(_key(name), known)]
            shown = ", ".join(f"{each.name!r} ({each.monitor_id})" for each in near)
            raise DatafoldInputError(
                f"No monitor has the name {name!r}." + (f" Near: {shown}." if near else "")
            )


def _wanted(tags: Sequence[str] | None, names: Sequence[str] | None, set_name: str | None) -> str:
    wanted = []
    if tags:
        wanted.append(f"has the tag{'s' if tags[1:] else ''} {', '.join(map(repr, tags))}")
    if names:
        wanted.append(f"has one of the names {', '.join(map(repr, names))}")
    if set_name:
        wanted.append(f"is in the set {set_name!r}")
    return " and ".join(wanted)
