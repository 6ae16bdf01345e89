"""Monitors as code: compare a spec with the monitor of the same name, and apply it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import fields, monitors
from airflow_provider_datafold.exceptions import DatafoldConflictError
from airflow_provider_datafold.operators.once import start_once
from airflow_provider_datafold.operators.spec_text import parse
from airflow_provider_datafold.redaction.guard import guarded
from airflow_provider_datafold.redaction.secret import conceal

if TYPE_CHECKING:
    from airflow_provider_datafold.hooks.datafold import DatafoldHook

_PAGE_SIZE = 100

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

_SHOWN = (
    "name",
    "alert",
    "description",
    "enabled",
    "notifications",
    "owner",
    "schedule",
    "tags",
)
"""The fields of a spec that Datafold returns for every monitor under the same names."""

_DATASET = ("connection_id", "table", "query", "filter", "column", "metric")
"""The fields that Datafold returns for a dataset."""

_NESTED = ("datadiff", "datadiff.dataset_a", "datadiff.dataset_b", "metric")
"""Objects of which Datafold returns only some fields."""


def read_spec(hook: DatafoldHook, kind: Any, spec: Any) -> tuple[str, dict[str, Any]]:
    """Check a monitor's kind and spec.

    :param hook: knows the secrets.
    :param kind: the kind.
    :param spec: a mapping, or a mapping as JSON, YAML or a Python literal.
    :return: the kind, and a spec that fits the contract's creation.
    :raises DatafoldInputError: one of them is wrong.
    """
    kind = guarded(lambda: fields.one_of(*monitors.KINDS)("kind", kind), hook.redactor(), kind)
    spec = conceal(parse(spec, hook.redactor()) if isinstance(spec, str) else spec)
    return kind, guarded(lambda: monitors.CREATE[kind].fit(spec), hook.redactor(spec), spec)


def apply(hook: DatafoldHook, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Create the monitor with a spec's name, update it, or change nothing.

    :param hook: the hook to call.
    :param kind: the monitor's kind.
    :param spec: a spec that fits the contract's creation.
    :return: ``monitor_id`` and ``action``.
    :raises DatafoldConflictError: no update can make it match the spec; nothing was changed.
    :raises DatafoldError: a call failed.
    """
    name = hook.redactor().excerpt(spec["name"])
    monitor_id = _find(hook, kind, spec["name"])
    if monitor_id is None:
        monitor_id = _create(hook, kind, spec)
        hook.log.info("Created monitor %d, %r.", monitor_id, name)
        return {"monitor_id": monitor_id, "action": "created"}
    difference = compare(kind, spec, hook.get_monitor(monitor_id))
    if difference.fixed:
        raise DatafoldConflictError(
            f"Monitor {monitor_id} ({name!r}) differs from the spec in fields that Datafold cannot "
            f"change: {', '.join(difference.fixed)}. Nothing was changed. Give the spec another "
            f"name, or delete the monitor and apply the spec again."
        )
    if difference.unseen:
        unseen = ", ".join(difference.unseen)
        hook.log.info("Not compared, because Datafold does not return these fields: %s.", unseen)
    if not difference.changed:
        hook.log.info("Monitor %d, %r, already matches the spec.", monitor_id, name)
        return {"monitor_id": monitor_id, "action": "unchanged"}
    _change(hook, kind, spec, monitor_id, difference)
    hook.log.info("Updated monitor %d, %r: %s.", monitor_id, name, ", ".join(difference.changed))
    return {"monitor_id": monitor_id, "action": "updated"}


@dataclass(frozen=True)
class Difference:
    """The fields in which a monitor differs from its spec, by their paths.

    :param changed: fields that an update can change.
    :param fixed: fields that it cannot change.
    :param unseen: fields that Datafold does not return, which may differ.
    """

    changed: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def compare(kind: str, spec: Mapping[str, Any], monitor: Mapping[str, Any]) -> Difference:
    """Compare a spec with a monitor.

    :param kind: the monitor's kind.
    :param spec: a spec that fits the contract's creation.
    :param monitor: the monitor as the API returns it.
    """
    changed, fixed, unseen = [], [], []
    for path, is_seen in _differences(spec, _as_spec(kind, monitor)):
        if not is_seen:
            unseen.append(path)
        elif _is_changeable(kind, path):
            changed.append(path)
        else:
            fixed.append(path)
    return Difference(tuple(changed), tuple(fixed), tuple(unseen))


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
) -> Iterator[tuple[str, bool]]:
    """Find the fields of a spec that differ (``True``) or that Datafold does not return."""
    for key, wanted in spec.items():
        path = f"{place}{key}"
        if path in _NESTED and key in shown:
            yield from _differences(wanted, shown[key], f"{path}.")
        elif key not in shown:
            yield path, False
        elif not _is_same(path, wanted, shown[key]):
            yield path, True


def _is_same(path: str, wanted: Any, found: Any) -> bool:
    if path == "alert" and isinstance(found, Mapping) and isinstance(wanted, Mapping):
        # A threshold that was taken out of the spec must be removed. Datafold fills in only a type.
        found = {key: item for key, item in found.items() if key in wanted or key != "type"}
        return _without_nulls(wanted) == _without_nulls(found)
    return _holds(found, wanted)


def _holds(found: Any, wanted: Any) -> bool:
    """Return whether a value matches the spec, ignoring fields that Datafold has filled in."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            _holds(found.get(key), item) for key, item in wanted.items()
        )
    if isinstance(wanted, list):
        # The order of tags, notifications and recipients does not matter.
        found = list(found or ())
        return len(found) == len(wanted) and all(
            any(_holds(item, each) for item in found) for each in wanted
        )
    return bool(found == wanted)


def _without_nulls(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _is_changeable(kind: str, path: str) -> bool:
    field, _, rest = path.partition(".")
    if field == "datadiff":
        return rest.partition(".")[0] not in FIXED_IN_DATADIFF
    return field == "enabled" or field in CHANGEABLE[kind]


def _find(hook: DatafoldHook, kind: str, name: str) -> int | None:
    """Return the id of the monitor with a name, ``None`` if there is none."""
    found = [monitor for monitor in _all(hook) if monitor.get("name") == name]
    shown = hook.redactor().excerpt(name)
    if len(found) > 1:
        ids = ", ".join(str(monitor["id"]) for monitor in found)
        raise DatafoldConflictError(
            f"There are {len(found)} monitors named {shown!r} (ids {ids}), so it is not clear "
            f"which one the spec is for. Nothing was changed. Rename or delete all but one."
        )
    if not found:
        return None
    (monitor,) = found
    if monitor.get("monitor_type") not in (kind, None):
        raise DatafoldConflictError(
            f"Monitor {monitor['id']} ({shown!r}) is of kind {monitor['monitor_type']!r}, not "
            f"{kind!r}. Nothing was changed. Give the spec another name, or delete the monitor."
        )
    return int(monitor["id"])


def _all(hook: DatafoldHook) -> Iterator[Mapping[str, Any]]:
    """Read all monitors, each once, even if the pages shift meanwhile."""
    seen: set[Any] = set()
    page = 1
    while True:
        answer = hook.list_monitors(
            page=page, page_size=_PAGE_SIZE, order_by="id", sort_order="asc"
        )
        listed = [monitor for monitor in answer.get("monitors") or () if isinstance(monitor, dict)]
        fresh = [monitor for monitor in listed if monitor.get("id") not in seen]
        yield from fresh
        seen |= {monitor.get("id") for monitor in fresh}
        pages = answer.get("total_pages")
        if not fresh or (isinstance(pages, int) and page >= pages):
            return
        page += 1


def _create(hook: DatafoldHook, kind: str, spec: Mapping[str, Any]) -> int:
    def start() -> int | None:
        monitor_id = hook.create_monitor(kind, spec).get("id")
        return monitor_id if isinstance(monitor_id, int) else None

    return start_once(hook, "monitor", start, lambda: _find(hook, kind, spec["name"]))


def _change(
    hook: DatafoldHook,
    kind: str,
    spec: Mapping[str, Any],
    monitor_id: int,
    difference: Difference,
) -> None:
    """Send all fields that an update accepts, including those that Datafold does not return."""
    if set(difference.changed) != {"enabled"}:
        update = {name: item for name, item in spec.items() if name in CHANGEABLE[kind]}
        if "datadiff" in update:
            update["datadiff"] = {
                name: item
                for name, item in update["datadiff"].items()
                if name not in FIXED_IN_DATADIFF
            }
        hook.update_monitor(kind, monitor_id, update)
    if "enabled" in difference.changed:
        hook.toggle_monitor(monitor_id, enabled=spec["enabled"])
