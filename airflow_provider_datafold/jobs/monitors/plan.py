"""Monitors as code: compare an account with what the files want, and plan what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.api import monitors as api
from airflow_provider_datafold.api.fields import format_value
from airflow_provider_datafold.api.operation import Request
from airflow_provider_datafold.exceptions import DatafoldConflictError, DatafoldInputError
from airflow_provider_datafold.jobs.monitors import comparison, ownership
from airflow_provider_datafold.jobs.monitors.account import Found, by_slug, read_account
from airflow_provider_datafold.jobs.monitors.comparison import Difference
from airflow_provider_datafold.jobs.monitors.format import Wanted
from airflow_provider_datafold.jobs.monitors.problems import Problems

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook

STRATEGIES = ("ignore", "pause", "delete")
"""What to do with a monitor of the set that is in no file."""


@dataclass(frozen=True)
class Change:
    """A change of a monitor.

    :param place: what errors call it: the file, if it is in one, and its slug.
    :param monitor_id: its id.
    :param reason: what differs, for the log.
    :param request: updates it, ``None`` if it is only switched.
    :param enabled: whether to switch its schedule on or off, ``None`` to leave it.
    """

    place: tuple[str, ...]
    monitor_id: int
    reason: str
    request: Request | None = None
    enabled: bool | None = None

    @property
    def slug(self) -> str:
        """Its slug."""
        return self.place[-1]


@dataclass
class Plan:
    """What to do, in this order.

    :param set_name: the set.
    :param known: the ids of all monitors of the account, of the set or not.
    :param ids: the ids of the monitors in the files, by slug.
    :param created: monitors to create.
    :param updated: monitors to change.
    :param paused: monitors in no file, to pause.
    :param deleted: monitors in no file, to delete: the id by the slug.
    :param unchanged: slugs of monitors that are as the files want them.
    :param ignored: slugs of monitors in no file that stay as they are.
    """

    set_name: str
    known: frozenset[int]
    ids: dict[str, int] = field(default_factory=dict)
    created: list[Wanted] = field(default_factory=list)
    updated: list[Change] = field(default_factory=list)
    paused: list[Change] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return the slugs, sorted, by what is done, and the ids."""
        return {
            "created": sorted(each.slug for each in self.created),
            "updated": sorted(each.slug for each in self.updated),
            "unchanged": sorted(self.unchanged),
            "paused": sorted(each.slug for each in self.paused),
            "deleted": sorted(self.deleted),
            "ids": dict(sorted(self.ids.items())),
        }


def make_plan(
    hook: JobHook, wanted: Iterable[Wanted], set_name: str, dangling: str, max_deleted: int
) -> Plan:
    """Read the account, and plan what to do."""
    account = read_account(hook)
    mine = by_slug(account, set_name)
    by_id = {monitor.monitor_id: monitor for monitor in account}
    problems = Problems(hook.redactor(), DatafoldConflictError, DatafoldInputError)
    plan = Plan(set_name, frozenset(by_id))
    taken: set[int] = set()
    for each in wanted:
        with problems.collected(each.source, each.slug):
            monitors = mine.pop(each.slug, [])
            own = _only(set_name, each.slug, monitors) if monitors else None
            monitor = _taken_over(each, set_name, own, by_id)
            if monitor is None:
                plan.created.append(each)
                continue
            if monitor.monitor_id in taken:
                raise DatafoldConflictError(
                    f"id: another slug takes over {monitor.monitor_id}, too."
                )
            taken.add(monitor.monitor_id)
            plan.ids[each.slug] = monitor.monitor_id
            _plan_change(hook, plan, each, monitor)
    for slug, monitors in mine.items():
        with problems.collected(slug):
            _plan_dangling(hook, plan, slug, _only(set_name, slug, monitors), dangling)
    with problems.collected():
        _limit_deletions(plan, max_deleted)
    problems.raise_all("Nothing was changed.")
    return plan


def _only(set_name: str, slug: str, monitors: list[Found]) -> Found:
    """Return the one monitor with the tag of a slug."""
    tag, _ = ownership.tags_of(set_name, slug, "")
    if len(monitors) > 1:
        ids = ", ".join(str(monitor.monitor_id) for monitor in monitors)
        raise DatafoldConflictError(
            f"monitors {ids} have the tag {tag!r}, so it is not clear which one is meant. Delete "
            f"all but one, or take the tag off copies."
        )
    (monitor,) = monitors
    if len(monitor.owners) > 1:
        raise DatafoldConflictError(
            f"monitor {monitor.monitor_id} has more than one tag that starts with "
            f"{ownership.SET!r}. Take off all but {tag!r}."
        )
    return monitor


def _taken_over(
    wanted: Wanted, set_name: str, own: Found | None, by_id: Mapping[int, Found]
) -> Found | None:
    """Return the monitor that a spec is for: its own, or the one that it takes over."""
    number = wanted.monitor_id
    monitor = own if number is None else by_id.get(number)
    if number is not None and monitor is None:
        raise DatafoldConflictError(
            f"id: there is no monitor {number}. Leave id out to create one."
        )
    if monitor is None:
        return None
    if own is not None and own is not monitor:
        raise DatafoldConflictError(
            f"id: monitor {own.monitor_id} already is this slug's, not {number}. Delete it first, "
            f"or leave id out."
        )
    if monitor.owners - {(set_name, wanted.slug)}:
        owner, slug = min(monitor.owners)
        raise DatafoldConflictError(
            f"id: monitor {number} belongs to the slug {slug!r} of the set {owner!r}. To move it "
            f"here, remove its two tags that begin with 'airflow-' in Datafold's app, and apply "
            f"again."
        )
    if monitor.kind != wanted.kind and (monitor.kind is not None or own is None):
        raise DatafoldConflictError(
            f"type: monitor {monitor.monitor_id} is of type {monitor.kind!r}, not {wanted.kind!r}. "
            f"Use another slug, or delete the monitor."
        )
    return monitor


def _plan_change(hook: JobHook, plan: Plan, wanted: Wanted, found: Found) -> None:
    monitor = hook.get_monitor(found.monitor_id)
    tags = [str(tag) for tag in monitor.get("tags") or ()]
    mark = comparison.fingerprint(wanted.kind, wanted.body)
    applied, is_paused = ownership.unpause(ownership.fingerprint_in(tags))
    difference = comparison.compare(wanted.kind, wanted.body, monitor)
    _refuse_fixed(wanted, difference, mark, applied, is_ours=bool(found.owners))
    unseen = list(difference.unseen)
    if not applied:
        unseen += comparison.hidden_and_fixed(wanted.kind, wanted.body)
    if unseen:
        hook.log.warning(
            "Monitor %d, %r: cannot compare, because Datafold does not return: %s.",
            found.monitor_id,
            wanted.slug,
            ", ".join(unseen),
        )
    if not (found.owners or found.is_enabled or "enabled" in wanted.body):
        hook.log.warning(
            "Monitor %d, %r, is paused and stays so. To resume it, write 'enabled: true'.",
            found.monitor_id,
            wanted.slug,
        )
    changed = [path for path in difference.changed if path != "enabled"]
    if not found.owners:
        changed.append("taken over")
    elif is_paused:
        changed.append("in a file again")
    elif applied != mark:
        changed.append("fields that Datafold does not return")
    enabled = wanted.body.get("enabled") if "enabled" in difference.changed else None
    if is_paused and "enabled" not in wanted.body:
        enabled = True
    if not changed and enabled is None:
        plan.unchanged.append(wanted.slug)
        return
    update = {
        **comparison.update_of(wanted.kind, wanted.body),
        # An update replaces all tags.
        "tags": [
            *wanted.body.get("tags", ownership.others(tags)),
            *ownership.tags_of(plan.set_name, wanted.slug, mark),
        ],
    }
    plan.updated.append(
        Change(
            (wanted.source, wanted.slug),
            found.monitor_id,
            ", ".join([*changed, *(["enabled"] if enabled is not None else [])]),
            _update(hook, wanted.kind, found.monitor_id, update) if changed else None,
            enabled,
        )
    )


def _refuse_fixed(
    wanted: Wanted, difference: Difference, mark: str, applied: str, *, is_ours: bool
) -> None:
    if difference.fixed:
        fields = "; ".join(
            f"{path}: is {format_value(found)} at Datafold, not {format_value(asked)}"
            for path, (found, asked) in difference.values.items()
        )
        it, value = ("it", "value") if len(difference.fixed) == 1 else ("them", "values")
        way_out = (
            "Undo that, use another slug, or delete the monitor and apply again."
            if is_ours
            else f"Write Datafold's {value} into the file, or leave id out to create another "
            f"monitor."
        )
        raise DatafoldConflictError(f"{fields}. Datafold cannot change {it}. {way_out}")
    if applied and applied.partition("-")[2] != mark.partition("-")[2]:
        names = comparison.hidden_and_fixed(wanted.kind, wanted.body)
        raise DatafoldConflictError(
            f"a field was changed that Datafold neither returns nor changes: "
            f"{', '.join([*names, 'or one that was taken out'])}. Undo that, use another slug, or "
            f"delete the monitor and apply again."
        )


def _plan_dangling(hook: JobHook, plan: Plan, slug: str, monitor: Found, dangling: str) -> None:
    if dangling == "delete":
        plan.deleted[slug] = monitor.monitor_id
    elif dangling == "pause" and monitor.is_enabled:
        plan.paused.append(_pause(hook, plan.set_name, slug, monitor))
    else:
        plan.ignored.append(slug)


def _limit_deletions(plan: Plan, most: int) -> None:
    """Refuse to delete most of a set, because its folder may be half synchronized."""
    slugs = sorted(plan.deleted)
    if len(slugs) > most:
        shown = ", ".join(map(repr, slugs[:5])) + (", ..." if slugs[5:] else ".")
        raise DatafoldConflictError(
            f"{len(slugs)} monitors of the set {plan.set_name!r} are in no file and would be "
            f"deleted, more than max_deleted={most} allows: {shown} If they are to go, pass "
            f"max_deleted={len(slugs)}."
        )


def _pause(hook: JobHook, set_name: str, slug: str, monitor: Found) -> Change:
    if monitor.kind is None:
        raise DatafoldConflictError(
            f"monitor {monitor.monitor_id} cannot be paused: Datafold does not return its type, "
            f"and without it the monitor cannot be marked, so that no run would resume it. Pause "
            f"it in Datafold's app."
        )
    # Marked, so that it is resumed when a file has it again; one that a person paused is not.
    mark = ownership.pause(ownership.fingerprint_in(monitor.tags))
    tags = [*ownership.others(monitor.tags), *ownership.tags_of(set_name, slug, mark)]
    request = _update(hook, monitor.kind, monitor.monitor_id, {"tags": tags})
    return Change((slug,), monitor.monitor_id, "in no file", request, False)


def _update(hook: JobHook, kind: str, monitor_id: int, body: Mapping[str, Any]) -> Request:
    operation = replace(api.UPDATE, body_name="monitor")
    return hook.checked(partial(operation.request, monitor_id=monitor_id), {**body, "type": kind})
