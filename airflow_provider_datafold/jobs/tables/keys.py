"""The primary keys of tables that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_datafold.exceptions import (
    DatafoldNotFoundError,
    DatafoldRejectedError,
    DatafoldValidationError,
)
from airflow_provider_datafold.jobs.tables.listing import Side
from airflow_provider_datafold.jobs.tables.pairing import ByTable, Pair

if TYPE_CHECKING:
    from airflow_provider_datafold.jobs.hook import JobHook

_AT_ONCE = 8
"""Tables whose keys Datafold looks for at the same time: it asks the warehouse."""


def find_keys(
    hook: JobHook, pairs: Sequence[Pair], sides: Sequence[Side], given: ByTable
) -> dict[Pair, list[str] | str]:
    """Return the columns of each table's key, given or guessed by Datafold; or why it has none."""
    unknown = [pair for pair in pairs if not given.of(pair)]
    guesses = hook.each(partial(_guess, sides), unknown, at_once=_AT_ONCE)
    guessed = dict(zip(unknown, guesses, strict=True))
    return {pair: guessed.get(pair) or given.of(pair) for pair in pairs}


def _guess(sides: Sequence[Side], hook: JobHook, pair: Pair) -> list[str] | str:
    """Return a key, spelled as the side spells it on which it was found; otherwise why not."""
    reasons = []
    for side, name in zip(sides, pair, strict=True):
        try:
            found = hook.guess_primary_key(side.data_source_id, [*side.schema, name])
        except (DatafoldNotFoundError, DatafoldRejectedError, DatafoldValidationError) as error:
            reasons.append(f"side {side.number}: {error.summary}")
        else:
            if found:
                return found[0]
            reasons.append(f"side {side.number}: Datafold finds none in the data")
    return "; ".join(reasons)
