"""A person decides about a difference, by the Human in the loop of Airflow 3.1 and newer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

import airflow
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.exceptions import DatafoldDifferenceError, DatafoldInputError
from airflow_provider_datafold.jobs.airflow_version import is_airflow
from airflow_provider_datafold.jobs.gate.report import store

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

ACCEPT, REJECT = "Accept this difference", "Reject"
_WITHOUT_TRIGGERER = timedelta(hours=1)
"""After the time for an answer: then Airflow's scheduler ends a wait that no triggerer ends."""


@dataclass(frozen=True)
class Approval:
    """Asks people, and has the task wait for their answer.

    :param users: who may answer; if empty, all who may edit the task.
    :param seconds: how long they have.
    """

    users: Sequence[Any] = ()
    seconds: float = 1.0

    def ask(self, context: Context, verdict: Mapping[str, Any], text: str, **more: Any) -> NoReturn:
        """Defer the task, which resumes with the answer.

        :param context: Airflow's task context.
        :param verdict: what was told of the difference.
        :param text: the same in a paragraph for people.
        :param more: what else :func:`settle` takes.
        """
        from airflow.providers.standard.triggers.hitl import HITLTrigger
        from airflow.sdk.execution_time.hitl import upsert_hitl_detail

        question: Any = {
            "ti_id": context["ti"].id,
            "options": [ACCEPT, REJECT],
            "defaults": [REJECT],
            "params": {},
        }
        label = verdict["table2"] or verdict["table1"] or f"Data diff {verdict['id']}"
        subject = f"{label} differs: {verdict['reason']}"
        upsert_hitl_detail(**question, subject=subject, body=text, assigned_users=[*self.users])
        limit = timedelta(seconds=self.seconds)
        raise TaskDeferred(
            trigger=HITLTrigger(**question, timeout_datetime=datetime.now(timezone.utc) + limit),
            method_name="answered",
            kwargs={"verdict": verdict, "text": text, **more},
            timeout=limit + _WITHOUT_TRIGGERER,
        )


def settle(
    context: Context,
    event: Any,
    log: Any,
    *,
    verdict: Mapping[str, Any],
    text: str,
    message: str,
    returned: dict[str, Any],
) -> dict[str, Any]:
    """Let the DAG continue if a person accepted the difference.

    :param context: Airflow's task context, which takes the verdict with the answer.
    :param event: the answer, as Airflow's trigger tells it.
    :param log: the task's logger.
    :param verdict: what was told before.
    :param text: the paragraph for people that was told before.
    :param message: the difference, for the log or the error.
    :param returned: what the task returns.
    :raises DatafoldDifferenceError: someone rejected it, or nobody answered.
    """
    event = event if isinstance(event, Mapping) else {}
    user = event.get("responded_by_user")
    if user and event.get("chosen_options") == [ACCEPT]:
        told = {**verdict, "accepted_by": {name: str(user[name]) for name in ("id", "name")}}
        said = f"{user['name']} accepted this difference"
    else:
        said = f"{user['name']} rejected this difference" if user else "Nobody answered in time"
        told = {**verdict, "reason": f"{verdict['reason']}. {said}"}
    store(context, told, f"{text} {said}.", log)
    if "accepted_by" in told:
        log.warning("%s. %s", said, message)
        return returned
    error = DatafoldDifferenceError(f"{said}. {message}")
    error.verdict = told
    raise error


def check_airflow() -> None:
    """Refuse to ask where nobody can answer.

    :raises DatafoldInputError: Airflow is older than 3.1.
    """
    if not is_airflow((3, 1)):
        raise DatafoldInputError(
            f"on_difference: 'ask' needs Airflow 3.1 or newer, where people can answer a task; "
            f"this is {airflow.__version__}. Pass 'fail', 'skip' or 'pass'. Nothing was sent."
        )


def users(field: str, value: Any) -> list[dict[str, str]]:
    """Check the people who may answer, as Airflow's own operators take them."""
    found = [value] if isinstance(value, Mapping) else fields.sequence(field, value)
    return [
        {
            name: fields.text(f"{field}[{name!r}]", fields.mapping(field, each).get(name))
            for name in ("id", "name")
        }
        for each in found
    ]
