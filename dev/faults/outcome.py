"""Compare a measurement with what the table declares and with what a user wants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dev.faults.fault import Fault
from dev.faults.measurement import Measurement

MEMORY = 50.0
"""The most MB of memory that a task may use, whatever the size of the response."""


def differences(fault: Fault, found: Measurement) -> Iterator[str]:
    """Compare a measurement of this provider's operator with all that the table declares.

    :param fault: the fault.
    :param found: the measurement.
    :return: a sentence for each difference.
    """
    ending = fault.ending
    if fault.or_else and fault.or_else.error == found.ended:
        ending = fault.or_else
    pairs = {
        "ended": (found.ended, ending.error or "success"),
        "Airflow may retry": (found.airflow_may_retry, ending.airflow_may_retry),
        "requests": (found.requests, fault.requests),
        "connections": (
            found.connections if fault.connections is not None else None,
            fault.connections,
        ),
        "requests to another host": (found.elsewhere, 0),
        "retry_after": (found.retry_after, fault.retry_after),
        **{f"secrets in the {place}": (count, 0) for place, count in found.secrets.items()},
    }
    for what, (measured, declared) in pairs.items():
        if measured != declared:
            yield f"{what}: {measured or 'none'!r}, declared: {declared or 'none'!r}"
    if fault.says not in found.message:
        yield f"says {found.message!r}, declared: {fault.says!r}"
    if not fault.no_sooner <= found.seconds <= fault.seconds:
        yield f"took {found.seconds} s, declared: {fault.no_sooner:g} to {fault.seconds:g} s"
    if found.memory > MEMORY:
        yield f"took {found.memory} MB, declared: at most {MEMORY:g} MB"


def shortcoming(fault: Fault, found: Measurement) -> str:
    """Say what a user would not want, by a measure that holds for any operator.

    :param fault: the fault.
    :param found: what became of it.
    :return: the worst of it, empty where the fault is handled.
    """
    wanted = fault.ending
    succeeded = found.ended == "success"
    shortcomings = {
        "sends a request to another host": found.elsewhere > 0,
        "leaks a secret": any(found.secrets.values()),
        "does not end in time": not found.ended,
        "uses too much memory": found.memory > MEMORY,
        "succeeds, although the service confirmed nothing": succeeded
        and bool(wanted.error)
        and not fault.may_succeed,
        "fails, although the update was possible": not succeeded and not wanted.error,
        "uses up Airflow's retries on an error that no retry can fix": found.airflow_may_retry
        and not wanted.airflow_may_retry,
        "prevents a retry by Airflow that could succeed": bool(found.ended)
        and not succeeded
        and wanted.airflow_may_retry
        and not found.airflow_may_retry,
    }
    return next((words for words, holds in shortcomings.items() if holds), "")


def masked(found: Measurement) -> Measurement:
    """Return the measurement as it would be if Airflow's masking knew all secrets.

    :param found: a measurement without that masking.
    :return: the same, without secrets in what Airflow writes into the task's log.
    """
    return replace(found, secrets={**found.secrets, "log": 0, "exception": 0})
