"""Every fault of the table, with both drivers, as the table declares it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dev.faults import page
from dev.faults.fault import Fault
from dev.faults.outcome import MEMORY, differences, shortcoming
from dev.faults.run import DRIVERS, OURS, THEIRS, Measurement
from dev.faults.runner import Trial, measure
from dev.faults.table import FAULTS

_HEAVY = [fault for fault in FAULTS if fault.heavy]
_DRIPPING = [fault for fault in FAULTS if "drips" in fault.name]

each_driver = pytest.mark.parametrize("driver", DRIVERS)


@pytest.fixture(scope="module")
def measured() -> Mapping[Trial, Measurement]:
    # All at once: together they take a minute, and half an hour one after the other.
    return measure((fault.name, driver) for driver in DRIVERS for fault in FAULTS)


def test_there_are_many_faults_each_with_its_own_name() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 150


@each_driver
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault(fault: Fault, driver: str, measured: Mapping[Trial, Measurement]) -> None:
    found = measured[fault.name, driver]

    assert not list(differences(fault, found))
    assert not shortcoming(fault, found)


def test_the_page_says_what_is_declared() -> None:
    rows = [line for line in page.PATH.read_text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(FAULTS)
    for fault, row in zip(FAULTS, rows, strict=True):
        assert row.startswith(page.declared(fault))


@each_driver
@pytest.mark.parametrize("fault", _HEAVY, ids=str)
def test_a_response_of_300_mb_costs_little_memory(
    fault: Fault, driver: str, measured: Mapping[Trial, Measurement]
) -> None:
    assert measured[fault.name, driver].memory < MEMORY


def test_memory_is_really_measured() -> None:
    pytest.importorskip("airflow.providers.http")

    found = measure([("huge", THEIRS)])["huge", THEIRS]

    assert found.memory > 250


def test_secrets_are_really_looked_for() -> None:
    pytest.importorskip("airflow.providers.http")
    names = ("422-echo", "echo", "echo-encoded", "redirect-307-elsewhere")

    found = measure([(name, THEIRS) for name in names])

    assert found["422-echo", THEIRS].secrets["log"] > 0
    assert found["echo", THEIRS].secrets["result"] > 0
    # The two secrets, in each of eight spellings, in two places.
    assert found["echo-encoded", THEIRS].secrets["result"] >= 32
    assert found["redirect-307-elsewhere", THEIRS].secrets["other host"] > 0


@each_driver
@pytest.mark.parametrize("fault", _DRIPPING, ids=str)
def test_a_dripping_response_ends_within_ten_seconds(
    fault: Fault, driver: str, measured: Mapping[Trial, Measurement]
) -> None:
    assert measured[fault.name, driver].seconds < 10


@each_driver
def test_an_hour_of_retry_after_is_left_to_airflow(
    driver: str, measured: Mapping[Trial, Measurement]
) -> None:
    found = measured["retry-after-hour", driver]

    assert found.seconds < 5
    assert found.retry_after == 3600
    assert found.requests == 1


def test_a_difference_is_found(measured: Mapping[Trial, Measurement]) -> None:
    fault = next(fault for fault in FAULTS if fault.name == "404")

    found = list(differences(fault, measured["401", OURS]))

    assert found == ["ended: 'DatafoldAuthenticationError', declared: 'DatafoldNotFoundError'"]
