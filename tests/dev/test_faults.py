"""Every fault of the tables, in a worker and in an event loop, ends as the tables declare it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dev.faults.fault import Fault
from dev.faults.processes import Run, run_all
from dev.faults.table import FAULTS
from dev.faults.update import DRIVERS, LOOP
from dev.faults.wait import Wait
from dev.faults.wait_table import WAITS


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest) -> Mapping[Run, list[str]]:
    """Run the selected rows all at once, because most of them wait."""
    asked = [item for item in request.session.items if item.name.startswith("test_fault[")]
    params: list[dict[str, Any]] = [item.callspec.params for item in asked]  # type: ignore[attr-defined]
    return run_all((param["row"].name, param["by"]) for param in params)


def rows() -> list[Any]:
    waits = [
        pytest.param(wait, mode, marks=[] if wait.costs_money else [pytest.mark.whole])
        for wait in WAITS
        for mode in wait.modes
    ]
    updates = [
        pytest.param(fault, driver)
        for fault in FAULTS
        for driver in DRIVERS
        if fault.in_worker or driver == LOOP
    ]
    return updates + waits


@pytest.mark.parametrize(("row", "by"), rows(), ids=str)
def test_fault(row: Fault | Wait, by: str, found: Mapping[Run, list[str]]) -> None:
    assert found[row.name, by] == []
