"""Which cron expressions are accepted, and what errors say about the others."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.api.schedule import cron, indexing_cron
from airflow_provider_datafold.exceptions import DatafoldInputError

WANTED = "must be a cron expression of five fields, e.g. '0 6 * * *'"
NEVER = "must match at least one date, not "

RIGHT = [
    ("0 6 * * *", "0 6 * * *"),
    (" 0\t6  * *\n* ", "0 6 * * *"),
    ("0 0 1 1 0", "0 0 1 1 0"),
    ("59 23 31 12 7", "59 23 31 12 7"),
    ("*/15 0-5 1,15 JAN-MAR mon-fri", "*/15 0-5 1,15 JAN-MAR mon-fri"),
    ("1-59/59 */23 */31 */12 */7", "1-59/59 */23 */31 */12 */7"),
    ("0 0 * DEC SUN,sat", "0 0 * DEC SUN,sat"),
    ("0 0 29 2 *", "0 0 29 2 *"),
    ("0 0 31 1-2 *", "0 0 31 1-2 *"),
    ("000 006 * * *", "000 006 * * *"),
    ("*/1 * * * sun,mon,tue,wed,thu,fri,sat", "*/1 * * * sun,mon,tue,wed,thu,fri,sat"),
    *(
        [f"0 0 1 {months} *"] * 2
        for months in ("jan,feb,mar,apr,may,jun", "jul,aug,sep,oct,nov,dec")
    ),
]
WRONG = [
    ("", WANTED),
    ("0 6 * *", WANTED),
    ("0 6 * * * 2030", WANTED),
    ("@daily", WANTED),
    (5, WANTED),
    (["0 6 * * *"], WANTED),
    (True, WANTED),
    ("60 * * * *", "minute 60 is not in 0-59 (in '60 * * * *')"),
    ("* 24 * * *", "hour 24 is not in 0-23"),
    ("* * 0 * *", "day of month 0 is not in 1-31"),
    ("* * 32 * *", "day of month 32 is not in 1-31"),
    ("* * * 0 *", "month 0 is not in 1-12"),
    ("* * * 13 *", "month 13 is not in 1-12"),
    ("* * * * 8", "day of week 8 is not in 0-7"),
    ("0-60 * * * *", "minute 60 is not in 0-59"),
    ("0,61 * * * *", "minute 61 is not in 0-59"),
    ("JAN * * * *", "minute JAN is not in 0-59"),
    ("* * * mon *", "month mon is not in 1-12"),
    ("* * * * jan", "day of week jan is not in 0-7"),
    ("* * * xyz-MAR *", "month xyz is not in 1-12"),
    ("99999999999999999999 * * * *", "minute 99999999999999999999 is not in 0-59"),
    ("*/0 * * * *", "minute step 0 is not in 1-59"),
    ("*/60 * * * *", "minute step 60 is not in 1-59"),
    ("*/x * * * *", "minute step x is not in 1-59"),
    ("* * * */13 *", "month step 13 is not in 1-12"),
    ("L * * * *", "minute L is not in 0-59"),
    ("* * * * mon#2", "day of week 'mon#2' is not a number, a range or a step"),
    ("1-2-3 * * * *", "minute '1-2-3' is not a number, a range or a step"),
    (", * * * *", "minute '' is not a number, a range or a step"),
    ("-1 * * * *", "minute '-1' is not a number, a range or a step"),
    ("*-5 * * * *", "minute '*-5' is not a number, a range or a step"),
    ("٠ 6 * * *", "minute '٠' is not a number, a range or a step"),
    ("0 0 31 2 *", f"{NEVER}'0 0 31 2 *' (str)"),
    ("0 0 30,31 feb *", NEVER),
    ("0 0 31 4,6,9,11 *", NEVER),
]


@pytest.mark.parametrize(("given", "sent"), RIGHT)
def test_a_schedule(given: str, sent: str) -> None:
    assert indexing_cron("indexing_cron", given) == sent


@pytest.mark.parametrize(("given", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_no_schedule_is_refused(given: Any, said: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        indexing_cron("indexing_cron", given)
    assert str(caught.value).startswith(f"indexing_cron: {said}")
    assert str(caught.value).endswith("Nothing was sent.")
    assert given in ("", None) or str(given)[:20] in str(caught.value)


def test_only_an_integration_may_have_none() -> None:
    for check, is_told in ((indexing_cron, True), (cron, False)):
        with pytest.raises(DatafoldInputError) as caught:
            check("field", "daily")
        assert ("or None for no schedule" in str(caught.value)) is is_told
