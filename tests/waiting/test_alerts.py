"""Which alerts of a monitor are new."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.waiting.alerts import Cursor


def run(run_id: Any, state: Any = "alert", diff_id: Any = None) -> dict[str, Any]:
    return {"run_id": run_id, "monitor_id": 7, "state": state, "diff_id": diff_id}


def told(cursor: Cursor, *runs: dict[str, Any]) -> list[int]:
    alerts = cursor.new_alerts(7, runs)
    for alert in alerts:
        cursor.note(alert)
    return [alert["run_id"] for alert in alerts]


def test_what_ended_before_the_start_is_not_told() -> None:
    cursor = Cursor()
    cursor.begin(7, [run(3), run(2, "ok"), run(5, "checking"), run(4, "a new state")])
    assert cursor.told == {7: 3}
    assert told(cursor, run(3), run(5), run(4)) == [4, 5]


def test_monitor_without_runs_begins_at_nothing() -> None:
    cursor = Cursor()
    cursor.begin(7, [])
    assert told(cursor, run(1)) == [1]


def test_each_alert_is_told_once_the_oldest_first() -> None:
    cursor = Cursor({7: 1})
    runs = [run(4), run(3, "ok"), run(2), run(2)]
    assert told(cursor, *runs) == [2, 4]
    assert told(cursor, *runs) == []
    assert told(cursor, run(5, "learning")) == []
    assert told(cursor, run(6), *runs) == [6]


def test_alert_that_is_not_noted_is_told_again() -> None:
    cursor = Cursor({7: 1, 8: 1})
    first, second = cursor.new_alerts(7, [run(2), run(3)])
    cursor.note(first)
    assert cursor.told == {7: 2, 8: 1}
    assert cursor.new_alerts(7, [run(2), run(3)]) == [second]


def test_alert_carries_its_ids() -> None:
    cursor = Cursor({7: 1})
    assert cursor.new_alerts(7, [run(2, diff_id=9)]) == [
        {"monitor_id": 7, "run_id": 2, "diff_id": 9}
    ]


def test_run_without_an_id_is_passed_over() -> None:
    assert told(Cursor({7: 0}), run(None), run("x"), run(2)) == [2]


def test_cursor_survives_a_store() -> None:
    cursor = Cursor({7: 3, 8: 0})
    assert cursor.dump() == {"7": 3, "8": 0}
    assert Cursor.load(cursor.dump()) == cursor


@pytest.mark.parametrize("kept", [None, "text", [], {"x": 1, "7": "3", "-1": 2}])
def test_what_does_not_fit_is_left_out(kept: Any) -> None:
    assert Cursor.load(kept) == Cursor()
