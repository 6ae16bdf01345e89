"""A gate that asks a person: its question, and what comes of the answer."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_datafold.exceptions import (
    DatafoldDifferenceError,
    DatafoldInputError,
    DatafoldNotComparedError,
)
from airflow_provider_datafold.jobs.gate.approval import ACCEPT, REJECT
from airflow_provider_datafold.jobs.gate.report import KEY, TEXT
from airflow_provider_datafold.operators.data_diffs import DatafoldRunDataDiffOperator
from airflow_provider_datafold.sensors.data_diffs import DatafoldDataDiffSensor
from dev.sandbox.data_diffs import DIFFERENT, done
from tests.conftest import AIRFLOW
from tests.contexts import context_of
from tests.waits import deferred, event_of, gate, sent

pytestmark = pytest.mark.usefixtures("connections")

ADA = {"id": "7", "name": "ada"}
ACCEPTED = "ada accepted this difference"

asks = pytest.mark.skipif(AIRFLOW < (3, 1), reason="nobody can be asked")


@asks
@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    ("user", "chosen", "said"),
    [
        (ADA, [ACCEPT], ACCEPTED),
        (ADA, [REJECT], "ada rejected this difference"),
        (ADA, [ACCEPT, REJECT], "ada rejected this difference"),
        # Never without a person.
        (None, [ACCEPT], "Nobody answered in time"),
        (None, None, "Nobody answered in time"),
    ],
)
def test_a_person_decides(
    sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    user: Any,
    chosen: Any,
    said: str,
    deferrable: bool,
) -> None:
    from airflow.sdk.execution_time import hitl

    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: asked.append(question))
    sandbox.state.data_diffs.courses.default = DIFFERENT
    limits = {"approvers": ADA, "approval_timeout": timedelta(hours=2)}
    task = gate(on_difference="ask", deferrable=deferrable, **limits)
    context = context_of(task)
    context["ti"].id = uuid4()
    before = datetime.now(timezone.utc)
    wait = deferred(task.execute, context)
    if deferrable:
        wait = deferred(task.execute_complete, context, event_of(wait.trigger), **wait.kwargs)
    told, text = context["ti"].pushed[KEY], context["ti"].pushed[TEXT]
    (question,) = asked
    assert question["ti_id"] == wait.trigger.ti_id == context["ti"].id
    assert question["options"] == [ACCEPT, REJECT]
    assert question["defaults"] == wait.trigger.defaults == [REJECT]
    assert question["subject"] == f"A.C differs: {told['reason']}"
    assert (question["body"], question["assigned_users"]) == (text, [ADA])
    assert wait.trigger.timeout_datetime - before >= timedelta(hours=2)
    # Without a triggerer, Airflow's scheduler ends it.
    assert wait.timeout > timedelta(hours=2)
    sent(sandbox)

    event = {"chosen_options": chosen, "responded_by_user": user, "responded_at": before}
    resume = getattr(gate(on_difference="ask"), wait.method_name)
    kwargs = json.loads(json.dumps(wait.kwargs))
    if said == ACCEPTED:
        assert resume(context, event, **kwargs)["result"] == "different"
        expected = {**told, "accepted_by": ADA}
    else:
        with pytest.raises(DatafoldDifferenceError, match=rf"^{said}\. Data diff 3 ") as caught:
            resume(context, event, **kwargs)
        expected = {**told, "reason": f"{told['reason']}. {said}"}
        assert caught.value.verdict == expected
    assert context["ti"].pushed[KEY] == expected
    assert expected["outcome"] == "differs"
    assert context["ti"].pushed[TEXT] == f"{text} {said}."
    # The data diff is done, and was judged.
    assert sent(sandbox) == []


@asks
def test_asks_about_nothing_but_a_difference(sandbox: Any) -> None:
    sandbox.state.data_diffs.courses.default = done("bad-pks")
    task = gate(on_difference="ask")
    with pytest.raises(DatafoldNotComparedError):
        task.execute(context_of(task))


def test_an_airflow_without_answers_refuses_when_the_dag_is_parsed(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow.__version__", "3.0.6")
    task = gate(on_difference="{{ params.way }}")
    task.on_difference = "ask"
    for call in (
        lambda: gate(on_difference="ask"),
        lambda: DatafoldRunDataDiffOperator.partial(task_id="gates", on_difference="ask"),
        lambda: task.execute(context_of(task)),
    ):
        with pytest.raises(DatafoldInputError, match="'ask' needs Airflow 3.1.*this is 3.0.6"):
            call()
    assert sent(sandbox) == []


@asks
@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"approvers": ["ada"]}, "approvers: must be an object"),
        ({"approvers": {"id": "7"}}, r"approvers\['name'\]: must be a string"),
        ({"approval_timeout": 0}, "approval_timeout: must be a number above 0"),
    ],
)
def test_checks_whom_to_ask_before_it_sends(
    sandbox: Any, arguments: dict[str, Any], wrong: str
) -> None:
    task = gate(on_difference="ask", **arguments)
    with pytest.raises(DatafoldInputError, match=wrong):
        task.execute(context_of(task))
    assert sent(sandbox) == []


def test_a_sensor_asks_nobody(sandbox: Any) -> None:
    task = DatafoldDataDiffSensor(task_id="wait", datadiff_id=3, on_difference="ask")
    with pytest.raises(DatafoldInputError, match="must be one of 'fail', 'skip', 'pass', not"):
        task.execute(context_of(task))
