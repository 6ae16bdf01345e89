"""The primary keys of tables that are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Keys:
    """The keys that were found.

    :param found: the columns of each table's key.
    :param missing: why the others have none.
    """

    found: dict[Pair, list[str]] = field(default_factory=dict)
    missing: dict[Pair, str] = field(default_factory=dict)


def find_keys(hook: JobHook, pairs: Sequence[Pair], sides: Sequence[Side], given: ByTable) -> Keys:
    """Find the keys of tables: what is given, or else what Datafold guesses.

    :param hook: the hook to call.
    :param pairs: the tables.
    :param sides: both schemas.
    :param given: the columns of known keys.
    :raises DatafoldError: a call failed for more than a single table.
    """
    keys = Keys({pair: columns for pair in pairs if (columns := given.of(pair))})
    unknown = [pair for pair in pairs if pair not in keys.found]
    guesses = hook.each(partial(_guess, sides), unknown, at_once=_AT_ONCE)
    for pair, guess in zip(unknown, guesses, strict=True):
        if isinstance(guess, str):
            keys.missing[pair] = guess
        else:
            keys.found[pair] = guess
    return keys


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
