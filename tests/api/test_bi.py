"""The kinds of BI integration: their configurations, and what came back otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.secret import Secret
from tests.integrations import BINDINGS, KINDS, NOT_GIVEN


def body(kind: str, config: Any) -> Any:
    made = bi.find(kind).body(config)
    return {name: it.reveal() if isinstance(it, Secret) else it for name, it in made.items()}


@pytest.mark.parametrize(
    ("kind", "config", "arrives"),
    [
        (
            "hightouch",
            {"workspace": 5, "name": NOT_GIVEN, "indexing_cron": "0  6 * * *", "token": " t\n"},
            {"workspace": "5", "indexing_cron": "0 6 * * *", "token": "t"},
        ),
        (
            "looker",
            {"repo_id": "3", "project_ids": "['a', 'b']", "bindings": str(BINDINGS)},
            {"repo_id": 3, "project_ids": ["a", "b"], "bindings": BINDINGS},
        ),
        ("powerbi", {"client_secret": " s\n"}, {"client_secret": "s"}),
    ],
)
def test_body_is_made_right(kind: str, config: Any, arrives: Any) -> None:
    given = {**KINDS[kind].fields, **config}
    wanted = {name: value for name, value in given.items() if value is not NOT_GIVEN}
    assert body(kind, given) == {**wanted, **arrives}


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("dbt", {"ci_config_id": 1, "colour": 1}, "config: has no field 'colour'; its fields are "),
        ("metabase", {}, "kind: must be one of 'hightouch', "),
        (["x"], {}, "kind: must be one of 'hightouch', "),
        ("dbt", 7, "config: must be an object, not a value of type int."),
        # Secrets, as they are and inside JSON.
        ("mode", {"token": ["planted"], "password": "p"}, "token: must be a non-empty string."),
        ("mode", "{'token': ['planted']}", "token: must be a non-empty string."),
    ],
)
def test_a_configuration_is_refused(kind: Any, config: Any, said: str) -> None:
    with pytest.raises(DatafoldInputError) as caught:
        body(kind, config)
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("Nothing was sent.")
    assert "planted" not in str(caught.value)


def test_a_declaration_alone_checks_a_configuration() -> None:
    for operation in (bi.CREATE["dbt"], bi.UPDATE["dbt"]):
        with pytest.raises(DatafoldInputError, match="^indexing_cron: must be a cron"):
            operation.fit({"ci_config_id": 4, "indexing_cron": "daily"})


PAIR = BINDINGS[:1]
SAME = [
    ({"base_url": "https://x/"}, {"base_url": "https://x"}),
    ({"project_ids": ["a", "b"]}, {"project_ids": ["b", "a"]}),
    ({"bindings": BINDINGS}, {"bindings": BINDINGS[::-1]}),
    ({"bindings": PAIR}, {"bindings": [{"boundIds": [2, 1], "remoteId": "1", "id": 5}]}),
    ({"indexing_cron": None}, {"indexing_cron": None, "more": True}),
    ({"name": "n"}, {}),
    *(({"name": "n"}, answer) for answer in (None, ["n"], "text", 7)),
    ({"token": "a"}, {"token": "b"}),
]
OTHER = [
    ({"name": "n"}, {"name": None}),
    ({"indexing_cron": None}, {"indexing_cron": "0 0 * * *"}),
    *(({"project_ids": ["a"]}, {"project_ids": it}) for it in (["a", "a"], ["c"], ["a", 5])),
    ({"bindings": PAIR}, {"bindings": [{"remoteId": "1", "boundIds": [1]}]}),
    ({"bindings": PAIR}, {"bindings": [{"remoteId": "2", "boundIds": [1, 2]}]}),
    *(({"bindings": PAIR}, {"bindings": [it]}) for it in (7, {"remoteId": "1"})),
    *(({"bindings": PAIR}, {"bindings": it}) for it in ("x", [], None)),
    ({"bindings": PAIR}, {"bindings": [{"remoteId": "1", "boundIds": None}]}),
    ({"name": "n", "repo_id": 3}, {"name": "o", "repo_id": 4}),
]


@pytest.mark.parametrize(("sent", "answer"), [*SAME, *OTHER])
def test_what_came_back_otherwise(sent: Any, answer: Any) -> None:
    different = [] if (sent, answer) in SAME else sent
    assert [*bi.differences(sent, answer)] == [
        (name, sent[name], answer[name]) for name in different
    ]
