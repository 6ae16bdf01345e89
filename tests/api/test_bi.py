"""The kinds of BI integration: their configurations are those of the contract, and comparisons."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_datafold.api import bi
from airflow_provider_datafold.exceptions import DatafoldInputError
from airflow_provider_datafold.redaction.secret import Secret
from dev.sandbox import contract
from dev.sandbox.contract import Operation
from tests.integrations import BINDINGS, KINDS, NOT_GIVEN

CONTRACT = contract.load()


def config_of(kind: str) -> dict[str, Any]:
    """The contract's schema for a kind's configuration, the same in its two operations."""
    path = f"/api/v1/lineage/bi/{kind}/"
    found = contract.config(CONTRACT, Operation("POST", path))
    assert found is not None
    assert found == contract.config(CONTRACT, Operation("PUT", path + "{bi_datasource_id}/"))
    return found


def body(kind: str, config: Any) -> Any:
    made = bi.find(kind).body(config)
    return {name: it.reveal() if isinstance(it, Secret) else it for name, it in made.items()}


def refused(kind: str, config: Any) -> str:
    with pytest.raises(DatafoldInputError) as caught:
        body(kind, config)
    assert str(caught.value).endswith("Nothing was sent.")
    return str(caught.value)


def is_nullable(node: dict[str, Any]) -> bool:
    return {"type": "null"} in node.get("anyOf", ())


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_know_what_the_contract_does(kind: str) -> None:
    fields = config_of(kind)["properties"]
    assert set(KINDS[kind].fields) == set(fields)
    assert set(KINDS[kind].required) == set(config_of(kind).get("required", ()))
    assert KINDS[kind].secrets == {
        name for name, node in fields.items() if "writeOnly" in str(node)
    }
    assert KINDS[kind].nullable == {name for name, node in fields.items() if is_nullable(node)}


def test_the_package_knows_the_contract_s_kinds() -> None:
    created = [
        operation.path.split("/")[-2]
        for operation in contract.operations(CONTRACT, contract.BI)
        if operation.method == "POST"
    ]
    assert set(bi.KINDS) == set(KINDS) == set(created)


@pytest.mark.parametrize("kind", KINDS)
def test_field_that_is_not_given(kind: str) -> None:
    config = {**KINDS[kind].required, **dict.fromkeys(KINDS[kind].optional, NOT_GIVEN)}
    assert body(kind, config) == KINDS[kind].required


@pytest.mark.parametrize(
    ("kind", "config", "arrives"),
    [
        (
            "hightouch",
            {"workspace": 5, "indexing_cron": "0  6 * * *", "token": " t\n"},
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
    assert body(kind, given) == {**given, **arrives}


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("tableau", {}, "token_name: is missing."),
        (
            "dbt",
            {"ci_config_id": 1, "colour": 1},
            "config: has no field 'colour'; its fields are ci_config_id, indexing_cron, name.",
        ),
        ("metabase", {}, "kind: must be one of 'hightouch', "),
        (["x"], {}, "kind: must be one of 'hightouch', "),
        ("dbt", 7, "config: must be an object, not a value of type int."),
        # Secrets, as they are and inside JSON.
        ("mode", {"token": ["planted"], "password": "p"}, "token: must be a non-empty string."),
        ("mode", "{'token': ['planted']}", "token: must be a non-empty string."),
        ("mode", {"token": None, "password": "planted"}, "token: must be a non-empty string."),
    ],
)
def test_a_configuration_is_refused(kind: Any, config: Any, said: str) -> None:
    found = refused(kind, config)
    assert found.startswith(said)
    assert "planted" not in found


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
