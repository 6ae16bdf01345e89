from __future__ import annotations

import pickle

from airflow_provider_datafold.omitted import OMITTED, Omitted


def test_the_mark_of_what_is_left_out_stays_itself_and_can_be_read() -> None:
    assert pickle.loads(pickle.dumps(OMITTED)) is OMITTED
    assert str(OMITTED) == "(not given)"
    assert repr(OMITTED) == "OMITTED"
    assert isinstance(OMITTED, Omitted)
