"""Monitors as code: what differs between a monitor and its spec.

Datafold returns most fields of a monitor, some of them in a normal form of its own. The fields that
it does not return are compared by a fingerprint, which is kept in a tag of the monitor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, time, timezone
from hashlib import sha256
from typing import Any

from airflow_provider_datafold.jobs.monitors import ownership
from airflow_provider_datafold.jobs.monitors.format import ALIASES

CHANGEABLE = {
    kind: {"name", "description", "notifications", "owner", "schedule", "tags", *more}
    for kind, more in {
        "diff": ("alert", "datadiff"),
        "metric": ("alert",),
        "schema": (),
        "test": ("query", "test"),
    }.items()
}
"""The fields that an update accepts, for each kind, according to the contract."""

FIXED_IN_DATADIFF = {"dataset_a", "dataset_b", "include_columns", "exclude_columns"}
"""The fields of ``datadiff`` that an update does not accept."""

_SHOWN = ["name", "alert", "description", "enabled", "notifications", "owner", "schedule", "tags"]
"""The fields of a spec that Datafold returns for every monitor under the same names."""

_DATASET = ("connection_id", "table", "query", "filter", "column", "metric")
"""The fields that Datafold returns for a dataset."""

_UNSEEN = object()
"""In place of the value of a field that Datafold does not return."""

_DEFAULTS = {
    "alert_on_missing_data": False,
    "compare_duplicates": True,
    "ignore_string_case": False,
    "materialize": True,
    "materialize_results": False,
    "null_equals_empty_string": False,
    "quote": True,
}
"""What the contract names for a field that is left out."""

_ANY_CASE = ("column", "cron", "owner", "recipients", "table")
"""Fields of which a service may change the case: paths in a database, addresses, names of days."""

_NESTED = ("datadiff", "datadiff.dataset_a", "datadiff.dataset_b", "metric")
"""Objects of which Datafold returns only some fields."""


@dataclass(frozen=True)
class Difference:
    """The fields in which a monitor differs from its spec, by their paths.

    :param changed: fields that an update can change.
    :param fixed: fields that it cannot change.
    :param unseen: fields that Datafold should have returned, and did not.
    :param values: for each of the fixed fields, what Datafold has and what the spec wants.
    """

    changed: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    values: Mapping[str, tuple[Any, Any]] = field(default_factory=dict, compare=False)


def compare(kind: str, body: Mapping[str, Any], monitor: Mapping[str, Any]) -> Difference:
    """Compare a spec with what Datafold returns of a monitor."""
    changed, unseen = [], []
    fixed = {}
    hidden = _hidden(kind, body)
    for path, wanted, found in _differences(body, _as_spec(kind, monitor)):
        if found is _UNSEEN:
            unseen += [path] if path not in hidden else []
        elif is_changeable(kind, path):
            changed.append(path)
        else:
            fixed[path] = found, wanted
    return Difference(tuple(changed), tuple(fixed), tuple(unseen), fixed)


def fingerprint(kind: str, body: Mapping[str, Any]) -> str:
    """Return the fingerprint of the fields that Datafold does not return.

    It has two parts: of fields that an update can change, and of others. To count other fields
    among them, or to write them in another way, would make all applied monitors look changed. To
    write out null or a default is not a change.
    """
    hidden = _without_defaults(_hidden(kind, body))
    parts = [
        {path: item for path, item in hidden.items() if is_changeable(kind, path) is is_part}
        for is_part in (True, False)
    ]
    # A secret is written as ***: a tag must not hold even the hash of one.
    texts = [json.dumps(part, sort_keys=True, default=repr) for part in parts]
    return "-".join(sha256(text.encode()).hexdigest()[:8] for text in texts)


def hidden_and_fixed(kind: str, body: Mapping[str, Any]) -> list[str]:
    """Return the paths of fields that Datafold neither returns nor changes."""
    return [path for path in _hidden(kind, body) if not is_changeable(kind, path)]


def is_changeable(kind: str, path: str) -> bool:
    """Return whether a field of a monitor can be changed."""
    field, _, rest = path.partition(".")
    if field == "datadiff":
        # An update needs diff_type to know its own shape.
        return rest.partition(".")[0] not in {*FIXED_IN_DATADIFF, "diff_type"}
    return field == "enabled" or field in CHANGEABLE[kind]


def update_of(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a spec that an update accepts."""
    update = {name: item for name, item in body.items() if name in CHANGEABLE[kind]}
    if "datadiff" in update:
        datadiff = update["datadiff"].items()
        update["datadiff"] = {key: item for key, item in datadiff if key not in FIXED_IN_DATADIFF}
    return update


def _hidden(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that Datafold does not return, by their paths."""
    shown = _as_spec(kind, {"dataset": [{}, {}]})
    return {path: item for path, item, found in _differences(body, shown) if found is _UNSEEN}


def _without_defaults(value: Any) -> Any:
    """Leave out the fields that might as well not have been given, at any depth."""
    if isinstance(value, Mapping):
        return {
            path: _without_defaults(item)
            for path, item in value.items()
            if item is not None and item != _DEFAULTS.get(path.rpartition(".")[2], _UNSEEN)
        }
    if isinstance(value, list):
        return [_without_defaults(item) for item in value]
    return value


def _as_spec(kind: str, monitor: Mapping[str, Any]) -> dict[str, Any]:
    """Arrange a monitor that the API returned like a spec."""
    shown = {name: monitor.get(name) for name in _SHOWN}
    datasets = [part for part in monitor.get("dataset") or () if isinstance(part, Mapping)]
    sides = [{name: part.get(name) for name in _DATASET} for part in datasets]
    if kind == "diff":
        return {**shown, "datadiff": dict(zip(("dataset_a", "dataset_b"), sides, strict=False))}
    if not sides:
        return shown
    side = sides[0]
    shown["connection_id"] = side["connection_id"]
    if kind == "metric":
        return {**shown, "metric": side}
    what = "table" if kind == "schema" else "query"
    return {**shown, what: side[what]}


def _differences(
    spec: Mapping[str, Any], shown: Mapping[str, Any], place: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Find the fields of a spec that differ or are not returned, with both values."""
    for key, wanted in spec.items():
        path = f"{place}{key}"
        if path in _NESTED and key in shown:
            yield from _differences(wanted, shown[key], f"{path}.")
        elif key not in shown:
            yield path, wanted, _UNSEEN
        elif not _is_same(path, wanted, shown[key]):
            yield path, wanted, shown[key]


def _is_same(path: str, wanted: Any, found: Any) -> bool:
    if path == "tags":
        return _tags(wanted) == _tags(found)
    if path == "schedule":
        return _holds(_times(found), _times(wanted))
    if path == "metric.metric":
        return bool(ALIASES.get(found, found) == wanted)
    if path == "alert":
        # A threshold that was taken out of the spec must be removed. Datafold fills in only a type.
        is_typed = isinstance(wanted, Mapping) and "type" in wanted
        return _thresholds(wanted, is_typed=is_typed) == _thresholds(found, is_typed=is_typed)
    return _holds(found, wanted, path.rpartition(".")[2])


def _tags(tags: Any) -> set[str]:
    # A comma separates tags.
    found = ",".join(ownership.others(tags or ())).split(",")
    return {tag.strip().lower() for tag in found if tag.strip()}


def _times(schedule: Any) -> Any:
    """Return a schedule with its time in one form, and without types, which are optional."""
    if not isinstance(schedule, Mapping):
        return schedule
    interval = schedule.get("interval")
    if not isinstance(interval, Mapping):
        return {"cron": " ".join(str(schedule.get("cron") or "").split()), "every": None}
    at, hour = interval.get("utc_at"), interval.get("hour")
    if at is None and isinstance(hour, int):
        at = f"{hour:02}:00"
    # Where the spec has no time, it is Datafold's to choose.
    time_of_day = {} if at is None else {"at": _utc(str(at))}
    return {"cron": None, "every": interval.get("every"), **time_of_day}


def _utc(text: str) -> time | str:
    with suppress(ValueError):
        at = time.fromisoformat(text.replace("Z", "+00:00"))
        moment = datetime.combine(datetime(2024, 1, 1), at)
        return moment.astimezone(timezone.utc).time() if at.tzinfo else at
    return text


def _holds(found: Any, wanted: Any, name: str = "") -> bool:
    """Return whether a value matches the spec, ignoring fields that Datafold has filled in."""
    found, wanted = _plain(found, name), _plain(wanted, name)
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            _holds(found.get(key), item, key) for key, item in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and _pair(found, wanted, name)
    return bool(found == wanted)


def _pair(found: list[Any], wanted: list[Any], name: str) -> bool:
    """Return whether each item has one of its own. The order of recipients does not matter."""
    left = list(found)
    # The one that says most chooses first: the others take what it leaves.
    for item in sorted(wanted, key=lambda item: -len(item) if isinstance(item, Mapping) else 0):
        match = next((place for place, each in enumerate(left) if _holds(each, item, name)), None)
        if match is None:
            return False
        del left[match]
    return not left


def _plain(value: Any, name: str) -> Any:
    """Return a value without what a service may write in another way."""
    if isinstance(value, str):
        value = value.strip().casefold() if name in _ANY_CASE else value.strip()
    return None if value in ("", [], {}) else value


def _thresholds(alert: Any, *, is_typed: bool) -> dict[str, Any]:
    given = alert.items() if isinstance(alert, Mapping) else ()
    return {key: item for key, item in given if item is not None and (is_typed or key != "type")}
