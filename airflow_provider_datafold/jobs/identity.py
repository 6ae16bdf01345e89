"""The id of a data source or of a monitor, for which a DAG may give the name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.monitors.account import read_account

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook

_MOST_SHOWN = 5


@dataclass(frozen=True)
class Kind:
    """What has an id and a name."""

    noun: str
    list_all: Callable[[JobHook], Iterable[Mapping[str, Any]]]


DATA_SOURCE = Kind("data source", lambda hook: hook.list_data_sources())
MONITOR = Kind(
    "monitor",
    lambda hook: ({"id": each.monitor_id, "name": each.name} for each in read_account(hook)),
)


def id_or_name(field: str, value: Any) -> int | str:
    """Check what stands for a data source or a monitor."""
    if isinstance(value, str) and not value.strip().removeprefix("-").isdecimal():
        return fields.name(field, value)
    return fields.positive_integer(field, value)


def look_up(hook: JobHook, kind: Kind, given: Mapping[str, int | str]) -> dict[str, int]:
    """List all that there are, and return the ids of those that are given by their names, too."""
    listed = [*kind.list_all(hook)]

    def check(names: Mapping[str, int | str]) -> dict[str, int]:
        return {
            field: find(field, kind.noun, each, listed) if isinstance(each, str) else each
            for field, each in names.items()
        }

    return hook.checked(check, dict(given))


def find(field: str, noun: str, name: str, listed: Iterable[Mapping[str, Any]]) -> int:
    """Return the id of the only one with a name: spelled like that, or else in another case."""
    ids: dict[str, list[int]] = {}
    for each in listed:
        if isinstance(each.get("id"), int) and isinstance(each.get("name"), str):
            ids.setdefault(each["name"], []).append(each["id"])
    folded = [other for other in ids if other.casefold() == name.casefold()]
    names = [name] if name in ids else folded
    found = [number for other in names for number in ids[other]]
    if len(found) == 1:
        return found[0]
    near = fields.near(name, ids, _MOST_SHOWN)
    shown = ", ".join(
        f"{other!r} (id {', '.join(map(str, ids[other]))})" for other in names or near
    )
    if found:
        says = f"{len(found)} {noun}s are called {name!r}: {shown}."
    else:
        says = f"no {noun} is called {name!r}{f'; did you mean {shown}?' if shown else '.'}"
    raise DatafoldInputError(f"{field}: {says} Pass an id. Nothing was started.")
