"""Every fault of the table, with the provider's operator, as the table declares it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dev.faults import page
from dev.faults.fault import Fault
from dev.faults.runner import Trial, measure
from dev.faults.table import FAULTS
from dev.faults.run import OURS, THEIRS, Measurement
from dev.faults.outcome import MEMORY, differences, shortcoming

_HEAVY = [fault for fault in FAULTS if fault.heavy]
_DRIPPING = [fault for fault in FAULTS if "drips" in fault.name]


@pytest.fixture(scope="module")
def measured() -> Mapping[Trial, Measurement]:
    # All at once: together they take half a minute, and ten minutes one after the other.
    return measure((fault.name, OURS) for fault in FAULTS)


def test_there_are_many_faults_each_with_its_own_name() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_fault(fault: Fault, measured: Mapping[Trial, Measurement]) -> None:
    found = measured[fault.name, OURS]

    assert not list(differences(fault, found))
    assert not shortcoming(fault, found)


def test_the_page_says_what_is_declared() -> None:
    rows = [line for line in page.PATH.read_text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(FAULTS)
    for fault, row in zip(FAULTS, rows, strict=True):
        assert row.startswith(page.declared(fault))


@pytest.mark.parametrize("fault", _HEAVY, ids=str)
def test_an_answer_of_300_mb_costs_little_memory(
    fault: Fault, measured: Mapping[Trial, Measurement]
) -> None:
    assert measured[fault.name, OURS].memory < MEMORY


def test_memory_is_really_measured() -> None:
    pytest.importorskip("airflow.providers.http")

    found = measure([("huge", THEIRS)])["huge", THEIRS]

    assert found.memory > 250


def test_secrets_are_really_looked_for() -> None:
    pytest.importorskip("airflow.providers.http")

    found = measure([("422-echo", THEIRS), ("echo", THEIRS), ("redirect-307-elsewhere", THEIRS)])

    assert found["422-echo", THEIRS].secrets["log"] > 0
    assert found["echo", THEIRS].secrets["result"] > 0
    assert found["redirect-307-elsewhere", THEIRS].secrets["other host"] > 0


@pytest.mark.parametrize("fault", _DRIPPING, ids=str)
def test_a_dripping_answer_ends_within_ten_seconds(
    fault: Fault, measured: Mapping[Trial, Measurement]
) -> None:
    assert measured[fault.name, OURS].seconds < 10


def test_an_hour_of_retry_after_is_left_to_airflow(
    measured: Mapping[Trial, Measurement],
) -> None:
    found = measured["retry-after-hour", OURS]

    assert found.seconds < 5
    assert found.retry_after == 3600
    assert found.requests == 1
