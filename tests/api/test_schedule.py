"""Which cron expressions are accepted, and what errors say about the others."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.api.fields import cron, indexing_cron
from airflow_provider_datafold.exceptions import DatafoldInputError

WANTED = "must be a cron expression of five fields, e.g. '0 6 * * *'"
NONE = " is not a valid cron expression ("

RIGHT = [
    ("0 6 * * *", "0 6 * * *"),
    (" 0\t6  * *\n* ", "0 6 * * *"),
    ("59 23 31 12 7", "59 23 31 12 7"),
    ("*/15 0-5 1,15 JAN-MAR mon-fri", "*/15 0-5 1,15 JAN-MAR mon-fri"),
    ("1-59/59 */23 */31 */12 */7", "1-59/59 */23 */31 */12 */7"),
    ("0 0 29 2 *", "0 0 29 2 *"),
    ("*/1 * * * sun,mon,tue,wed,thu,fri,sat", "*/1 * * * sun,mon,tue,wed,thu,fri,sat"),
    *(
        [f"0 0 1 {months} *"] * 2
        for months in ("jan,feb,mar,apr,may,jun", "jul,aug,sep,oct,nov,dec")
    ),
]
OUT_OF_RANGE = [
    *("60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *"),
    *("* * * * 8", "0-60 * * * *", "0,61 * * * *", "JAN * * * *", "* * * mon *", "* * * xyz-MAR *"),
    *("*/0 * * * *", "0 0 31 2 *", "0 0 30,31 feb *", "0 0 31 4,6,9,11 *"),
]
OF_OTHER_CRONS = [
    *("*/x * * * *", "* * L * *", "* * * * mon#2", "1-2-3 * * * *", ", * * * *", "-1 * * * *"),
    *("*-5 * * * *", "\u0660 6 * * *", "H * * * *", "* * ? * *"),
]
WRONG = [
    *((given, WANTED) for given in ("", "0 6 * *", "0 6 * * * 2030", "@daily", 5, True)),
    (["0 6 * * *"], WANTED),
    *((given, f"'{given}'{NONE}") for given in OUT_OF_RANGE),
    *((given, WANTED) for given in OF_OTHER_CRONS),
]


@pytest.mark.parametrize(("given", "sent"), RIGHT)
def test_a_schedule(given: str, sent: str) -> None:
    assert indexing_cron("indexing_cron", given) == sent


@pytest.mark.parametrize(("given", "said"), WRONG, ids=lambda value: str(value)[:40])
def test_no_schedule_is_refused(given: Any, said: str) -> None:
    for check in (indexing_cron, cron):
        with pytest.raises(DatafoldInputError) as caught:
            check("field", given)
        assert str(caught.value).startswith(f"field: {said}")
        assert str(caught.value).endswith("Nothing was sent.")
        # Only an integration may have none.
        may_be_none = said == WANTED and check is indexing_cron
        assert ("or None for no schedule" in str(caught.value)) is may_be_none
