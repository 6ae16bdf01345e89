"""From two schemas to the gates of their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.jobs.tables.arguments import EVERY, gate_arguments
from airflow_provider_datafold.jobs.tables.keys import find_keys
from airflow_provider_datafold.jobs.tables.listing import Side, list_tables
from airflow_provider_datafold.jobs.tables.pairing import ByTable, check_include, pair, select

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook

LeftOut = dict[str, str]
"""A table that gets no gate: its ``name``, and the ``reason``."""


@dataclass(frozen=True)
class Wanted:
    """What is to be compared, checked."""

    sides: Sequence[Side]
    include: Sequence[str] | None
    exclude: Sequence[str] | None
    primary_keys: Mapping[str, Sequence[str]]
    arguments: Mapping[str, Mapping[str, Any]]
    missing_pk: str
    one_sided: str


def plan_gates(
    hook: JobHook, wanted: Wanted, left_out: list[LeftOut], check_count: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Return the arguments of the gates."""
    listed = [list_tables(hook, side) for side in wanted.sides]
    try:
        return _plan(hook, wanted, listed, left_out, check_count)
    except DatafoldInputError as error:
        one, other = (side.place for side in wanted.sides)
        message = f"{error} Side 1 is {one}, side 2 is {other}."
    raise DatafoldInputError(message)


def _plan(
    hook: JobHook,
    wanted: Wanted,
    listed: Sequence[list[str]],
    left_out: list[LeftOut],
    check_count: Callable[[int], None],
) -> list[dict[str, Any]]:
    sides = wanted.sides
    every = {*listed[0], *listed[1]}
    check_include(wanted.include, every)
    keys = ByTable("primary_keys", wanted.primary_keys, every)
    others = {table: more for table, more in wanted.arguments.items() if table != EVERY}
    more = ByTable("arguments", others, every)
    pairs, alone = pair(*(select(names, wanted.include, wanted.exclude) for names in listed))
    left_out += [
        {"name": name, "reason": f"only on side {side.number}, {side.place}"}
        for side, names in zip(sides, alone, strict=True)
        for name in names
    ]
    if not pairs or (left_out and wanted.one_sided == "fail"):
        problem = "these tables are on one side only" if pairs else "no table is on both sides"
        advice = "Exclude them, or pass one_sided='skip' to leave them out. " if pairs else ""
        shown = _shown(left_out) or "include and exclude leave none"
        raise DatafoldInputError(f"one_sided: {problem}: {shown}. {advice}No gate was started.")
    check_count(len(pairs))
    found = find_keys(hook, pairs, sides, keys)
    keyless = [
        {"name": each.first, "reason": f"no primary key ({key})"}
        for each, key in found.items()
        if isinstance(key, str)
    ]
    left_out += keyless
    if keyless and (wanted.missing_pk == "fail" or len(keyless) == len(pairs)):
        raise DatafoldInputError(
            f"missing_pk: {_shown(keyless)}. Name their keys in primary_keys; missing_pk='skip' "
            f"leaves out tables without one. No gate was started."
        )
    default = wanted.arguments.get(EVERY, {})
    return [
        gate_arguments(each, sides, key, more.of(each) or default)
        for each, key in found.items()
        if not isinstance(key, str)
    ]


def _shown(left_out: Sequence[LeftOut]) -> str:
    """Name tables by the reason for which they are left out."""
    names: dict[str, list[str]] = {}
    for each in left_out:
        names.setdefault(each["reason"], []).append(each["name"])
    return "; ".join(f"{reason}: {', '.join(found)}" for reason, found in names.items())
