"""Every fault of the table, in a worker and in an event loop, as the table declares it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dev.faults import page, section
from dev.faults.fault import Fault
from dev.faults.measurement import DRIVERS, OURS, THEIRS, Measurement
from dev.faults.outcome import differences, shortcoming
from dev.faults.processes import Run, measure, measure_waits
from dev.faults.table import FAULTS
from dev.faults.wait import OPERATORS, WORKER, Wait
from dev.faults.wait_measurement import Waited, differences as wait_differences
from dev.faults.wait_table import WAITS

whole = pytest.mark.whole
each_driver = pytest.mark.parametrize("driver", DRIVERS)


@pytest.fixture(scope="module")
def measured() -> Mapping[Run, Measurement]:
    # All at once: together they take a minute, and half an hour one after the other.
    return measure((fault.name, driver) for driver in DRIVERS for fault in FAULTS)


def test_there_are_many_faults_each_with_its_own_name() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 140


@whole
@each_driver
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault(fault: Fault, driver: str, measured: Mapping[Run, Measurement]) -> None:
    found = measured[fault.name, driver]

    assert not list(differences(fault, found))
    assert not shortcoming(fault, found)


def test_the_page_says_what_is_declared() -> None:
    first, second = page.PATH.read_text().split(section.TITLE)
    assert len(rows_of(first)) == len(FAULTS)
    for fault, row in zip(FAULTS, rows_of(first), strict=True):
        assert row.startswith(page.declared(fault))
    assert rows_of(second) == [section.declared(wait) for wait in WAITS]


def rows_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]


_WAITS = [(wait, mode) for wait in WAITS for mode in wait.modes]


@pytest.fixture(scope="module")
def waited() -> Mapping[Run, Waited]:
    return measure_waits((wait.name, mode) for wait, mode in _WAITS)


def test_each_wait_has_its_own_name() -> None:
    names = {wait.name for wait in WAITS} | {fault.name for fault in FAULTS}
    assert len(names) == len(WAITS) + len(FAULTS)


@whole
@pytest.mark.parametrize(("wait", "mode"), _WAITS, ids=str)
def test_wait(wait: Wait, mode: str, waited: Mapping[Run, Waited]) -> None:
    assert not list(wait_differences(wait, mode, waited[wait.name, mode]))


@whole
def test_one_data_diff_even_if_the_response_is_lost(waited: Mapping[Run, Waited]) -> None:
    lost = [wait for wait in WAITS if wait.name.startswith(("taken-", "search-"))]
    assert len(lost) > 20
    for wait in lost:
        for mode in OPERATORS:
            found = waited[wait.name, mode]
            assert (found.made, found.left) == (1, 0)


@whole
def test_a_difference_of_a_wait_is_found(waited: Mapping[Run, Waited]) -> None:
    wait = next(wait for wait in WAITS if wait.name == "poll-401")

    found = list(wait_differences(wait, WORKER, waited["poll-401-everything", WORKER]))

    assert found == [
        "jobs cancelled: 'none', declared: 1",
        "jobs left running: 1, declared: 'none'",
    ]


@whole
def test_memory_is_really_measured() -> None:
    pytest.importorskip("airflow.providers.http")

    found = measure([("huge", THEIRS)])["huge", THEIRS]

    assert found.memory > 250


@whole
def test_secrets_are_really_looked_for() -> None:
    pytest.importorskip("airflow.providers.http")
    names = ("422-echo", "echo", "redirect-307-elsewhere")

    found = measure([(name, THEIRS) for name in names])

    assert found["422-echo", THEIRS].secrets["log"] > 0
    assert found["echo", THEIRS].secrets["result"] > 0
    assert found["redirect-307-elsewhere", THEIRS].secrets["other host"] > 0


@whole
def test_a_difference_is_found(measured: Mapping[Run, Measurement]) -> None:
    fault = next(fault for fault in FAULTS if fault.name == "404")

    found = list(differences(fault, measured["401", OURS]))

    assert found == ["ended: 'DatafoldAuthenticationError', declared: 'DatafoldNotFoundError'"]
